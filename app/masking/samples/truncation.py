"""Where a sample that is too long is cut, and what is lost: whole turns are kept where the length allows it."""

import numpy as np

from app.masking.samples.sample import Cut, Part
from app.masking.settings import IGNORE_INDEX
from app.masking.tokenization.encoded import Encoded, Ints
from app.masking.turns.layout import Layout


def truncate(
    encoded: Encoded, labels: Ints, layout: Layout, part: Part, max_length: int | None
) -> tuple[int, list[Cut]]:
    """The number of tokens to keep, and what is lost with the rest.

    A sample ends after the last whole assistant turn that fits and leaves something to train. Where none does it
    ends in the middle of a turn, which its cut says.
    """
    if max_length is None or len(labels) <= max_length:
        return len(labels), []
    ends = [encoded.tokens_of(turn.start, turn.end).stop for turn in layout.turns]
    trained = np.flatnonzero(labels != IGNORE_INDEX)
    # ending before it would leave a sample that trains nothing
    first_trained = int(trained[0]) if len(trained) else len(labels)
    length = max((end for end in ends if first_trained < end <= max_length), default=max_length)
    cuts = []
    for place, start, end in _blocks(layout):
        tokens = encoded.tokens_of(start, end)
        if tokens.stop > length:
            lost = labels[max(tokens.start, length) : tokens.stop]
            lost_trained = int(np.count_nonzero(lost != IGNORE_INDEX))
            cuts.append(Cut(part.numbers[place], lost_trained, tokens.start < length))
    return length, cuts


def _blocks(layout: Layout) -> list[tuple[int, int, int]]:
    """(message, start, end) of every turn and text, in the order of the rendering."""
    blocks = [(turn.message, turn.start, turn.end) for turn in layout.turns]
    blocks += [(region.message, region.start, region.end) for region in layout.regions]
    return sorted(blocks, key=lambda block: block[1])
