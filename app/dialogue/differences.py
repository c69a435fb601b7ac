"""Two texts word by word: what only the one says and what only the other says. Chinese goes by the character."""

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import groupby
from typing import Final, Literal

# (text, whether only this side says it)
Pieces = list[tuple[str, bool]]
Mark = Literal["", "removed", "added"]

# A Chinese character, a word with the blanks behind it, a run of space, any other character: joined they are the text.
_HAN: Final = r"[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
_UNIT: Final = re.compile(rf"{_HAN}|(?:(?!{_HAN})\w)+[ \t]*|\s+|[^\w\s]")
# Units of the one times units of the other, between what they have in common at both ends. Beyond, all of it differs:
# comparing two books word by word takes minutes, and nobody reads it.
_MOST_PAIRS: Final = 4_000_000


def differences(before: str, after: str) -> tuple[Pieces, Pieces]:
    """Each text in pieces. Those that are not marked say, joined, the same in both; blanks behind words may differ."""
    old, new = _units(before), _units(after)
    removed, added = [True] * len(old), [True] * len(new)
    for start, other, length in _common(old, new):
        removed[start : start + length] = [False] * length
        added[other : other + length] = [False] * length
    return _joined(zip(old, removed, strict=True)), _joined(zip(new, added, strict=True))


def merged(before: str, after: str) -> list[tuple[str, Mark]]:
    """Both texts as one: what stays, what is removed, what is added. Without the removed pieces it is `after`."""
    old, new = _units(before), _units(after)
    pieces: list[tuple[str, Mark]] = []
    place = other_place = 0
    blanks = ""
    for start, other, length in [*_common(old, new), (len(old), len(new), 0)]:
        parts: tuple[tuple[list[str], Mark], ...] = (
            ([blanks, *old[place:start]] if place < start else [], "removed"),
            (new[other_place:other], "added"),
            (new[other : other + length], ""),
        )
        pieces += [("".join(units), mark) for units, mark in parts if units]
        place, other_place = start + length, other + length
        # Blanks belong to the word before them: those that went with the next words stand before these.
        blanks = _blanks_lost(old[place - 1], new[other_place - 1]) if length else ""
    return pieces


def _blanks_lost(before: str, after: str) -> str:
    """Blanks at the end of a word that are not behind the same word afterwards."""
    return before[len(after) :] if before.startswith(after) else ""


def _units(text: str) -> list[str]:
    return _UNIT.findall(text)


def _common(old: list[str], new: list[str]) -> Iterator[tuple[int, int, int]]:
    """Stretches that both have, in order: where in the one, where in the other, how many units."""
    words, others = ([unit.rstrip(" \t") for unit in units] for units in (old, new))
    shorter = min(len(words), len(others))
    head = next((n for n in range(shorter) if words[n] != others[n]), shorter)
    most = shorter - head
    tail = next((n for n in range(most) if words[-1 - n] != others[-1 - n]), most)
    if head:
        yield 0, 0, head
    middle, other_middle = words[head : len(words) - tail], others[head : len(others) - tail]
    if len(middle) * len(other_middle) <= _MOST_PAIRS:
        # No word is too frequent to count: texts are short, and loops are what one wants to see.
        matcher = SequenceMatcher(None, middle, other_middle, autojunk=False)
        for start, other, length in matcher.get_matching_blocks():
            if length:
                yield head + start, head + other, length
    if tail:
        yield len(words) - tail, len(others) - tail, tail


def _joined(units: Iterable[tuple[str, bool]]) -> Pieces:
    return [
        ("".join(text for text, _ in group), marked)
        for marked, group in groupby(units, key=lambda unit: unit[1])
    ]
