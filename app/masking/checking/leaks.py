"""Conversations that are held out and stand nearly word for word among those that are trained on, in one set of samples or
across two.

Told from the arrays: runs of tokens that a held-out conversation and a training conversation have in common. What many
training conversations say (a system prompt, a greeting) tells nothing and is left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from app.masking.samples.arrays import MaskArrays, Split
from app.masking.samples.mixing import in_both
from app.masking.token_runs import RUN_CHUNK, TOKEN_RUN, run_hashes

# From this share of its runs on, a held-out conversation is known from training.
SHARE: Final = 0.8
# Of fewer different runs nothing is said.
FEWEST: Final = 8
# A run in more training conversations than this share of them, and than this many, is the data's way of speaking.
_COMMON_SHARE: Final = 0.2
_COMMON: Final = (2, 100)
# Above so many tokens one run in eight stands for all.
_SAMPLED_FROM: Final = 1 << 22
_ONE_IN: Final = 8

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Leak:
    """`share` (0 to 1) of what only few conversations say stands in the training conversation `trained_id` as well."""

    conversation_id: int
    trained_id: int
    share: float


@dataclass(frozen=True)
class _Part:
    """Some samples of a set, by their places."""

    arrays: MaskArrays
    places: Places

    @property
    def conversations(self) -> int:
        return len(np.unique(self.arrays.conversation_ids[self.places]))


def find_leaks(arrays: MaskArrays) -> list[Leak]:
    """Every held-out conversation with the training conversation that it is most like, from `SHARE` on."""
    return _leaks(_Part(arrays, arrays.places(Split.VALIDATION)), _Part(arrays, arrays.places(Split.TRAIN)))


def find_crossings(domain: MaskArrays, general: MaskArrays) -> list[Leak]:
    """The same across a set and one that is mixed in: what either holds out, among what the other has to train on. Whole
    conversations that are in both are passed over, as mixing leaves the second set's out.
    """
    left_out = in_both(domain, general)
    kept = np.array([int(one) not in left_out for one in general.conversation_ids], dtype=bool)
    held_out, train = (
        _Part(general, places[kept[places]])
        for places in map(general.places, (Split.VALIDATION, Split.TRAIN))
    )
    return [
        *_leaks(_Part(domain, domain.places(Split.VALIDATION)), train),
        *_leaks(held_out, _Part(domain, domain.places(Split.TRAIN))),
    ]


def _leaks(held_out_part: _Part, training: _Part) -> list[Leak]:
    # Both alike, or what one leaves out is missed in the other.
    sampled = any(len(part.arrays.input_ids) > _SAMPLED_FROM for part in (held_out_part, training))
    held_out = _runs_of(held_out_part, None, sampled=sampled)
    if not len(held_out[0]):
        return []
    sought, place = np.unique(held_out[0], return_inverse=True)
    by_run, trained = _training_runs(training, sought, sampled=sampled)
    if not len(by_run):
        return []
    most = _most_common(training)
    # Where each sought run's training conversations lie in `trained`.
    begin = np.searchsorted(by_run, np.arange(len(sought) + 1))
    counted = np.diff(begin)
    leaks = []
    for conversation, runs in _by_conversation(held_out[1], place.astype(np.int64)):
        own = np.unique(runs)
        own = own[counted[own] <= most]
        if len(own) < FEWEST:
            continue
        found = [trained[begin[run] : begin[run + 1]] for run in own]
        ids, times = np.unique(np.concatenate(found), return_counts=True)
        if not len(ids):
            continue
        best = int(np.argmax(times))
        share = float(times[best]) / len(own)
        if share >= SHARE:
            leaks.append(Leak(conversation, int(ids[best]), round(share, 3)))
    return leaks


def _training_runs(part: _Part, sought: Hashes, *, sampled: bool) -> tuple[Places, Places]:
    """Pairs, each once and in order: the number of a sought run, a training conversation in which it stands."""
    hashes, conversations = _runs_of(part, sought, sampled=sampled)
    pairs = np.stack([np.searchsorted(sought, hashes), conversations], axis=1)
    unique = np.unique(pairs, axis=0)
    return unique[:, 0], unique[:, 1]


def _runs_of(part: _Part, among: Hashes | None, *, sampled: bool) -> tuple[Hashes, Places]:
    """Hashes of runs inside a sample, each with its conversation; all of them, or those that are `among` (sorted)."""
    arrays = part.arrays
    lengths = np.diff(arrays.offsets)
    found, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for samples in _pieces(part):
        ids = np.concatenate([arrays.sample(int(one))[0] for one in samples])
        owner = np.repeat(samples, lengths[samples])
        if len(ids) < TOKEN_RUN:
            continue
        hashes = run_hashes(ids)
        kept = owner[: len(hashes)] == owner[TOKEN_RUN - 1 :]
        if sampled:
            kept &= hashes % np.uint64(_ONE_IN) == 0
        hashes, owner = hashes[kept], owner[: len(kept)][kept]
        if among is not None:
            at = np.minimum(np.searchsorted(among, hashes), len(among) - 1)
            known = among[at] == hashes
            hashes, owner = hashes[known], owner[known]
        found.append(hashes)
        owners.append(arrays.conversation_ids[owner])
    return np.concatenate(found), np.concatenate(owners)


def _pieces(part: _Part) -> Iterator[Places]:
    """Its samples, a few at a time."""
    samples = part.places
    ends = np.cumsum(np.diff(part.arrays.offsets)[samples])
    first = 0
    while first < len(samples):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + RUN_CHUNK, side="right")))
        yield samples[first:last]
        first = last


def _most_common(part: _Part) -> int:
    low, high = _COMMON
    return max(low, min(high, int(_COMMON_SHARE * part.conversations)))


def _by_conversation(owners: Places, runs: Places) -> Iterator[tuple[int, Places]]:
    order = np.argsort(owners, kind="stable")
    ids, begins = np.unique(owners[order], return_index=True)
    for conversation, part in zip(ids, np.split(runs[order], begins[1:]), strict=True):
        yield int(conversation), part
