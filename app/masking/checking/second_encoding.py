"""A second way to encode a sample, for the check that ids are the model's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from app.masking.samples.sample import MaskedSample
from app.masking.tokenization.encoded import Encoded, Ints
from app.masking.tokenization.tokenizer import ChatTokenizer
from app.masking.turns.layout import Layout

FEW = 8


@dataclass(frozen=True)
class SecondEncoding:
    """The rendering encoded in another way than the sample was.

    Where no message spells a control token, `ids` come from the twin tokenizer, which
    cuts the text only at the template's own control tokens; otherwise `encoded` is the
    model's own encoding, control tokens and all.
    """

    ids: Ints | None
    encoded: Encoded | None


def second_encodings(tokenizer: ChatTokenizer, samples: Sequence[MaskedSample]) -> list[SecondEncoding]:
    """One for each sample, encoded as a batch."""
    clean = [sample for sample in samples if sample.layout.controls is None]
    spelling = [sample.text for sample in samples if sample.layout.controls is not None]
    ids = iter(_ids_of(tokenizer, clean))
    encoded = iter(tokenizer.encoder.encode_many(spelling) if spelling else ())
    return [
        SecondEncoding(next(ids), None)
        if sample.layout.controls is None
        else SecondEncoding(None, next(encoded))
        for sample in samples
    ]


def _ids_of(tokenizer: ChatTokenizer, samples: Sequence[MaskedSample]) -> list[Ints]:
    """For a few samples piece by piece, which agrees with the twin for most vocabularies;
    building the twin takes a second.
    """
    if 0 < len(samples) <= FEW:
        found = [_ids_by_pieces(tokenizer, sample.text) for sample in samples]
        if all(np.array_equal(ids, sample.encoded.ids) for ids, sample in zip(found, samples, strict=True)):
            return found
    return tokenizer.twin.ids_of_all([one.text for one in samples], tokenizer.controls.any) if samples else []


def _ids_by_pieces(tokenizer: ChatTokenizer, text: str) -> Ints:
    """What stands between the control tokens, each encoded by itself."""
    matches = list(tokenizer.controls.any.finditer(text))
    ends = [0, *(match.end() for match in matches)]
    starts = [*(match.start() for match in matches), len(text)]
    pieces = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    encodings = tokenizer.encoder.tokenizer.encode_batch_fast(pieces, add_special_tokens=False)
    ids: list[int] = list(encodings[0].ids)
    for match, encoding in zip(matches, encodings[1:], strict=True):
        ids += (tokenizer.added_tokens[match.group()], *encoding.ids)
    return np.array(ids, dtype=np.int32)


def outside_spelled(layout: Layout) -> list[tuple[int, int]]:
    """Ranges between the control tokens of the template that hold no message which spells one."""
    spelling = {found.message for found in layout.spelled}
    inside = [(region.start, region.end) for region in layout.regions if region.message in spelling]
    inside += [(turn.start, turn.end) for turn in layout.turns if turn.message in spelling]
    known = {region.message for region in layout.regions} | {turn.message for turn in layout.turns}
    if spelling - known:
        return []
    borders = [0, *(place for control in layout.controls or [] for place in control), len(layout.text)]
    pieces = pairwise(borders)
    return [
        (start, end)
        for start, end in pieces
        if start < end and not any(start < stop and begin < end for begin, stop in inside)
    ]


def tokens_inside(encoded: Encoded, ranges: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """(id, start, index) of the tokens that begin inside the ranges."""
    found = []
    for start, end in ranges:
        first, stop = int(encoded.starts.searchsorted(start)), int(encoded.starts.searchsorted(end))
        found += [(int(encoded.ids[at]), int(encoded.starts[at]), at) for at in range(first, stop)]
    return found
