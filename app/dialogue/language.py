"""English or Chinese, told by the share of their scripts; anything else stays unknown rather than
guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LETTERS = re.compile(r"[^\W\d_]+")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]+")
_ASCII = re.compile("[A-Za-z]+")
_MAX_CHARS = 4_000  # more would not change the answer, only the time
_LATIN_PER_HAN = 4  # about as many Latin letters say what one Chinese character says
_FOREIGN_SHARE = 0.05


def detect_language(texts: Iterable[str]) -> str | None:
    """ "en", "zh" or None. Brand names in Chinese text do not make it English; kana, Cyrillic or accents
    do not count."""
    sample = _sample(texts)
    letters, han, ascii_letters = _count(_LETTERS, sample), _count(_HAN, sample), _count(_ASCII, sample)
    foreign = letters - han - ascii_letters
    if letters == 0 or foreign > _FOREIGN_SHARE * letters:
        return None
    return "zh" if han * _LATIN_PER_HAN >= ascii_letters else "en"


def _sample(texts: Iterable[str]) -> str:
    pieces: list[str] = []
    room = _MAX_CHARS
    for text in texts:
        pieces.append(text[:room])
        room -= len(pieces[-1])
        if room <= 0:
            break
    return "\n".join(pieces)


def _count(pattern: re.Pattern[str], text: str) -> int:
    return sum(map(len, pattern.findall(text)))
