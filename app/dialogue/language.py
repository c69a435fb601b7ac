"""The language of a conversation: English or Chinese told by the share of their scripts, anything else unknown
rather than guessed; and the codes that languages are written with."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LETTERS = re.compile(r"[^\W\d_]+")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]+")
_ASCII = re.compile("[A-Za-z]+")
_MAX_CHARS = 4_000  # more would not change the answer, only the time
_LATIN_PER_HAN = 4  # about as many Latin letters say what one Chinese character says
_FOREIGN_SHARE = 0.05
_NAMES = {
    "en": ("en", "eng", "english", "英文", "英语"),
    "zh": ("zh", "cn", "zho", "chi", "chinese", "中文", "汉语", "简体中文"),
}
_CODE_OF = {name: language for language, names in _NAMES.items() for name in names}
_CODE = re.compile("[a-z]{2,3}(-[a-z0-9]{2,8})*")


def language_code(name: str) -> str | None:
    """The code that a language is stored by: "en" and "zh" for all their names and regions, other codes (fr, pt-br)
    in lower case as they are; None for what is no code."""
    text = name.strip().lower().replace("_", "-")
    known = _CODE_OF.get(text.split("-")[0])
    return known or (text if _CODE.fullmatch(text) else None)


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
