"""Two checked sets of samples joined for one training: a domain's, and general ones beside it against forgetting.

Whole conversations are drawn, so that all samples of one are there or none. Which are drawn follows from a seed and their
ids alone: the same on every machine, and a larger share only adds some.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.masking.errors import MaskingError
from app.masking.samples.arrays import MaskArrays, Split, arrays_hash
from app.masking.settings import IGNORE_INDEX
from app.sentences import N_

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Amount:
    """Of the training split: conversations, samples, and the tokens of those, all and in the loss. One that is drawn twice
    counts twice.
    """

    conversations: int
    samples: int
    tokens: int
    trained_tokens: int


@dataclass(frozen=True)
class Mixture:
    """What a run trains on and measures: `arrays` begin with the domain's own samples; from `first_mixed` on come those mixed
    in, to train, then to measure (`Split.MIXED_VALIDATION`).

    `drawn` are the ids of the conversations mixed in, one as often as it is there; `available` of the second set could be.
    `left_out` of its conversations are in the domain's set too, so that nothing held out is trained.
    """

    arrays: MaskArrays
    first_mixed: int
    drawn: Sequence[int] = ()
    available: int = 0
    left_out: int = 0

    @property
    def is_mixed(self) -> bool:
        """Whether there is anything besides the domain's samples."""
        return self.first_mixed < len(self.arrays)

    def places(self, *, mixed: bool) -> Numbers:
        """Training samples that were mixed in, or those of the domain, in the order of the arrays."""
        train = self.arrays.places(Split.TRAIN)
        found: Numbers = train[(train >= self.first_mixed) == mixed]
        return found

    def amount(self, *, mixed: bool) -> Amount:
        """How much of either is trained in a pass over all of it."""
        places, arrays = self.places(mixed=mixed), self.arrays
        conversations = len(self.drawn) if mixed else len(np.unique(arrays.conversation_ids[places]))
        samples = [arrays.sample(int(place)) for place in places]
        return Amount(
            conversations,
            len(samples),
            sum(len(ids) for ids, _labels in samples),
            # Nothing comes before a sample's first token to predict it.
            sum(int(np.count_nonzero(labels[1:] != IGNORE_INDEX)) for _ids, labels in samples),
        )


def unmixed(arrays: MaskArrays) -> Mixture:
    """The domain's samples alone."""
    return Mixture(arrays, len(arrays))


def drawn_count(conversations: int, share: float) -> int:
    """Conversations to mix in, so that `share` (above 0, below 1) of all are such; at least one."""
    return max(1, round(conversations * share / (1 - share)))


def mix(domain: MaskArrays, general: MaskArrays, *, share: float, seed: int) -> Mixture:
    """All of the domain's samples, with so many of the other's that `share` of the conversations to train on are mixed in.

    Without replacement as far as they go, then all of them again. Raises MaskingError where there is none to draw, or
    where the two were masked in another way.
    """
    if domain.settings != general.settings:
        raise MaskingError(
            N_("The two sets of samples were masked with other settings: check both with the same."),
        )
    left_out = in_both(domain, general)
    ours = [int(place) not in left_out for place in general.conversation_ids]
    train = general.places(Split.TRAIN)
    available = _places_by_conversation(general, train[np.asarray(ours, dtype=bool)[train]])
    if not available:
        raise MaskingError(
            N_(
                "The dataset to mix in has no conversation to train on that the other has not: choose another."
            ),
        )
    of_domain = len(np.unique(domain.conversation_ids[domain.places(Split.TRAIN)]))
    drawn = draw(list(available), drawn_count(of_domain, share), seed)
    held_out = [int(place) for place in general.places(Split.VALIDATION) if ours[place]]
    places = [place for conversation in drawn for place in available[conversation]]
    joined = _join(domain, general, places, held_out)
    return Mixture(joined, len(domain), tuple(drawn), len(available), len(left_out))


def draw(conversations: Sequence[int], count: int, seed: int) -> list[int]:
    """So many of these ids: whole passes over all of them, and a part of the last one that only the seed decides.

    Each pass is in the order of the ids.
    """
    passes, rest = divmod(count, len(conversations))
    ranked = sorted(conversations, key=lambda one: hashlib.sha256(f"{seed}:{one}".encode()).digest())
    return [*sorted(conversations) * passes, *sorted(ranked[:rest])]


def in_both(domain: MaskArrays, general: MaskArrays) -> set[int]:
    """Conversations of the second set that are in the first, by id or by the very same tokens."""
    own = set(domain.conversation_ids.tolist())
    tokens = {domain.sample(place)[0].tobytes() for place in range(len(domain))}
    return {
        conversation
        for place, conversation in enumerate(general.conversation_ids.tolist())
        if conversation in own or general.sample(place)[0].tobytes() in tokens
    }


def _places_by_conversation(arrays: MaskArrays, places: Numbers) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for place in places.tolist():
        found[int(arrays.conversation_ids[place])].append(place)
    return found


def _join(
    domain: MaskArrays, general: MaskArrays, train: Sequence[int], held_out: Sequence[int]
) -> MaskArrays:
    places = [*train, *held_out]
    samples = [general.sample(place) for place in places]
    ids = np.concatenate([domain.input_ids, *(ids for ids, _labels in samples)])
    labels = np.concatenate([domain.labels, *(labels for _ids, labels in samples)])
    ends = np.cumsum([len(one) for one, _labels in samples], dtype=np.int64) + int(domain.offsets[-1])
    offsets = np.concatenate([domain.offsets, ends])
    split = [*[Split.TRAIN] * len(train), *[Split.MIXED_VALIDATION] * len(held_out)]
    return MaskArrays(
        ids,
        labels,
        offsets,
        np.concatenate([domain.conversation_ids, general.conversation_ids[places]]),
        np.concatenate([domain.split, np.asarray(split, np.int8)]),
        domain.settings,
        domain.base_model,
        arrays_hash(ids, labels, offsets),
    )
