"""Where two masks of one conversation differ, token by token. Pure functions.

Under one tokenizer the labels are compared as they are. Under two, the same characters of the same turn are,
since their tokens do not correspond.
"""

from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import numpy.typing as npt

from app.masking import IGNORE_INDEX, MaskedSample

SAME, ONLY_HERE, ONLY_THERE = 0, 1, 2
Flags = npt.NDArray[np.bool_]
Marks = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Difference:
    """`marks[i]` says for every token, cut ones included, whether it is trained only here or only there."""

    marks: Marks
    same_tokens: bool

    @property
    def only_here(self) -> int:
        """Tokens trained here and not in the other mask."""
        return int(np.count_nonzero(self.marks == ONLY_HERE))

    @property
    def only_there(self) -> int:
        """Tokens trained in the other mask and not here."""
        return int(np.count_nonzero(self.marks == ONLY_THERE))

    @property
    def places_only_here(self) -> list[int]:
        """Their indices."""
        found: list[int] = np.flatnonzero(self.marks == ONLY_HERE).tolist()
        return found

    @property
    def places_only_there(self) -> list[int]:
        """Their indices among the tokens of this mask."""
        found: list[int] = np.flatnonzero(self.marks == ONLY_THERE).tolist()
        return found

    def mirrored(self) -> "Difference":
        """The same seen from the other side: marks of the other mask's tokens in the words of this one."""
        swapped = np.array([SAME, ONLY_THERE, ONLY_HERE], dtype=np.int8)[self.marks]
        return Difference(swapped, self.same_tokens)


def compare(here: MaskedSample, there: MaskedSample | None) -> Difference:
    """How `here` differs from `there`; None stands for a sample that the other settings do not make."""
    mine = _trained(here)
    if there is None:
        return Difference(_marks(mine, np.zeros_like(mine)), same_tokens=True)
    if np.array_equal(here.encoded.ids, there.encoded.ids) and here.text == there.text:
        return Difference(_marks(mine, _trained(there)), same_tokens=True)
    return Difference(_by_characters(here, there, mine), same_tokens=False)


def _trained(sample: MaskedSample) -> Flags:
    """Whether each token is trained; what is cut off is not."""
    trained = np.zeros(len(sample.encoded.ids), dtype=np.bool_)
    trained[: len(sample.labels)] = sample.labels != IGNORE_INDEX
    return trained


def _marks(mine: Flags, other: Flags) -> Marks:
    marks = np.full(len(mine), SAME, dtype=np.int8)
    marks[mine & ~other] = ONLY_HERE
    marks[~mine & other] = ONLY_THERE
    return marks


def _by_characters(here: MaskedSample, there: MaskedSample, mine: Flags) -> Marks:
    other = mine.copy()
    letters_here, letters_there = _trained_letters(here), _trained_letters(there)
    theirs = _passages(there)
    for key, (start, end) in _passages(here).items():
        expected = np.zeros(end - start, dtype=np.bool_)
        if key in theirs:
            expected = _carried(here.text[start:end], there.text, theirs[key], letters_there)
        tokens = here.encoded.tokens_of(start, end)
        differs = np.flatnonzero(expected != letters_here[start:end]) + start
        for token in range(tokens.start, tokens.stop):
            first, last = int(here.encoded.starts[token]), int(here.encoded.ends[token])
            if ((differs >= first) & (differs < last)).any():
                other[token] = not mine[token]
    return _marks(mine, other)


def _trained_letters(sample: MaskedSample) -> Flags:
    """Whether each character of the rendering is trained."""
    letters = np.zeros(len(sample.text), dtype=np.bool_)
    for token in np.flatnonzero(_trained(sample)).tolist():
        letters[int(sample.encoded.starts[token]) : int(sample.encoded.ends[token])] = True
    return letters


def _passages(sample: MaskedSample) -> dict[tuple[int, str], tuple[int, int]]:
    """Ranges that mean the same under any template: a turn's text, and its end-of-turn token."""
    numbers = sample.part.numbers
    found = {
        (numbers[region.message], "text"): (region.start, region.end) for region in sample.layout.regions
    }
    for turn in sample.layout.turns:
        start = turn.start if turn.content_start is None else turn.content_start
        end = turn.end if turn.content_end is None else turn.content_end
        found[(numbers[turn.message], "text")] = (start, max(start, end))
        if turn.end_of_turn is not None:
            found[(numbers[turn.message], "end")] = turn.end_of_turn
    return found


def _carried(text: str, other_text: str, place: tuple[int, int], letters: Flags) -> Flags:
    """The other mask's letters over `text`, aligned from both ends; an end-of-turn counts as one thing."""
    start, end = place
    theirs = other_text[start:end]
    if theirs == text:
        return letters[start:end]
    if not text or not theirs:
        return np.zeros(len(text), dtype=np.bool_)
    head = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, theirs, strict=False)))
    carried = np.full(len(text), bool(letters[start:end].any()), dtype=np.bool_)
    carried[:head] = letters[start : start + head]
    tail = min(
        sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text[::-1], theirs[::-1], strict=False))
        ),
        len(text) - head,
        len(theirs) - head,
    )
    if tail:
        carried[len(text) - tail :] = letters[end - tail : end]
    return carried
