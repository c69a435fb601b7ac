"""Where a search hit a conversation: a short piece of it around the first hit, and the turn. Pure functions."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.dialogue.conversation import Message
from app.dialogue.roles import Role

_BEFORE: Final = 40
_AFTER: Final = 80


@dataclass(frozen=True)
class Hit:
    """`turn` counts from 1 and is None for a hit beside the messages; pieces are (text, whether it was searched for)."""

    where: Literal["turn", "product", "tags", "editor"]
    turn: int | None
    pieces: list[tuple[str, bool]]


def find_hit(
    words: Sequence[str], messages: Sequence[Message], product: str | None, tags: Sequence[str], editor: str
) -> Hit | None:
    """The place that says most of the words, the first of those; None where only spelling variants are found."""
    if not words:
        return None
    sought = re.compile("|".join(re.escape(word) for word in sorted(set(words), key=len, reverse=True)), re.I)
    best, most = None, 0
    for hit, text in _places(messages, product, tags, editor):
        found = len({match.group().casefold() for match in sought.finditer(text)})
        if found > most:
            best, most = (hit, text), found
    if best is None:
        return None
    (where, turn), text = best
    return Hit(where, turn, list(_around(sought, text)))


def _places(
    messages: Sequence[Message], product: str | None, tags: Sequence[str], editor: str
) -> Iterator[tuple[tuple[Literal["turn", "product", "tags", "editor"], int | None], str]]:
    # The system's words are often the same in every dialogue.
    turns = sorted(enumerate(messages, start=1), key=lambda turn: turn[1]["role"] == Role.SYSTEM)
    for number, message in turns:
        yield ("turn", number), message["content"]
    yield ("product", None), product or ""
    yield ("tags", None), ", ".join(tags)
    yield ("editor", None), editor


def _around(sought: re.Pattern[str], text: str) -> Iterator[tuple[str, bool]]:
    """The text from a little before the first hit to a little after it, cut at its hits."""
    first = sought.search(text)
    assert first is not None
    start, end = max(first.start() - _BEFORE, 0), min(first.end() + _AFTER, len(text))
    if start:
        yield "…", False
    place = start
    for match in sought.finditer(text, first.start(), end):
        if match.start() > place:
            yield text[place : match.start()], False
        yield match.group(), True
        place = match.end()
    if place < end:
        yield text[place:end], False
    if end < len(text):
        yield "…", False
