"""A second way to encode a sample, for the check that ids are the model's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.masking.encoding import Encoded, Ints
from app.masking.layout import Layout
from app.masking.samples import MaskedSample
from app.masking.tokenizer import ChatTokenizer


@dataclass(frozen=True)
class SecondOpinion:
    """The rendering encoded in another way than the sample was.

    Where no message spells a control token, `ids` come from the twin tokenizer, which cuts the text only at
    the template's own control tokens; otherwise `encoded` is the model's own encoding, control tokens and all.
    """

    ids: Ints | None
    encoded: Encoded | None


def second_opinions(tokenizer: ChatTokenizer, samples: Sequence[MaskedSample]) -> list[SecondOpinion]:
    """One for each sample, encoded as a batch."""
    clean = [sample.text for sample in samples if sample.layout.controls is None]
    spelling = [sample.text for sample in samples if sample.layout.controls is not None]
    ids = iter(tokenizer.twin.ids_of_all(clean, tokenizer.controls.any) if clean else ())
    encoded = iter(tokenizer.encoder.encode_many(spelling) if spelling else ())
    return [
        SecondOpinion(next(ids), None)
        if sample.layout.controls is None
        else SecondOpinion(None, next(encoded))
        for sample in samples
    ]


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
