"""Two answers word by word: what only the one says and what only the other says. Chinese goes by the character."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from itertools import groupby
from typing import Final

# (text, whether only this side says it)
Pieces = list[tuple[str, bool]]

# A Chinese character, a word with the blanks behind it, a run of space, any other character: joined they are the text.
_HAN: Final = r"[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
_UNIT: Final = re.compile(rf"{_HAN}|(?:(?!{_HAN})\w)+[ \t]*|\s+|[^\w\s]")


def differences(before: str, after: str) -> tuple[Pieces, Pieces]:
    """Each text in pieces. Those that are not marked say, joined, the same in both; blanks behind words may differ."""
    old, new = _units(before), _units(after)
    removed, added = [True] * len(old), [True] * len(new)
    # No word is too frequent to count: answers are short, and loops are what one wants to see.
    words, others = ([unit.rstrip(" \t") for unit in units] for units in (old, new))
    matcher = SequenceMatcher(None, words, others, autojunk=False)
    for start, other, length in matcher.get_matching_blocks():
        removed[start : start + length] = [False] * length
        added[other : other + length] = [False] * length
    return _joined(zip(old, removed, strict=True)), _joined(zip(new, added, strict=True))


def _units(text: str) -> list[str]:
    return _UNIT.findall(text)


def _joined(units: Iterable[tuple[str, bool]]) -> Pieces:
    return [
        ("".join(text for text, _ in group), marked)
        for marked, group in groupby(units, key=lambda unit: unit[1])
    ]
