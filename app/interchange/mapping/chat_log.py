"""Chats as people copy or export them: who said what, line by line.

`Name: text`; WhatsApp's `[12/03/2026, 14:05:33] Name: text` and `12/03/2026, 14:05 - Name: text`; WeChat's and QQ's name and
time on a line of their own, in either order, the words below; a name with a colon alone on a line, the words below. What
belongs to no new message continues the one before. A line of dashes begins another dialogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from app.interchange.files.limits import ImportLimits

_DATE: Final = r"\d{1,4}[-./年]\d{1,2}[-./月]\d{1,4}日?"
_TIME: Final = r"(?:上午|下午|凌晨|晚上)?\s*\d{1,2}:\d{2}(?::\d{2})?(?:\s?[APap]\.?[Mm]\.?)?"
_MOMENT: Final = rf"(?:{_DATE},?\s+)?{_TIME}"
_NAME: Final = r"[^:：\[\]{}<>\"]{1,40}?"
_BRACKETED: Final = re.compile(
    rf"^\u200e?\[(?P<time>{_MOMENT})\]\s*(?:(?P<name>{_NAME})[:：]\s?)?(?P<text>.*)$"
)
_DASHED: Final = re.compile(
    rf"^(?P<time>{_DATE},?\s+{_TIME})\s+-\s+(?:(?P<name>{_NAME})[:：]\s?)?(?P<text>.*)$"
)
_TIMED: Final = re.compile(rf"^(?P<time>{_MOMENT})\s+(?P<name>{_NAME})[:：]\s?(?P<text>.*)$")
_HEADS: Final = (
    re.compile(rf"^(?P<name>{_NAME})\s+(?P<time>{_MOMENT})$"),
    re.compile(rf"^(?P<time>{_DATE}\s+{_TIME})\s+(?P<name>[^:：]{{1,40}})$"),
)
_NAMED: Final = re.compile(
    r"^(?:#{1,4}\s+)?(?P<name>[^:：\[\]{}<>\",;|\t，。；？！?!]{1,30}?)\s?[:：](?!//)\s*(?P<text>.*)$"
)
_BREAK: Final = re.compile(r"^\s*[-=—_*]{3,}\s*$")
_LIMITS: Final = ImportLimits()
_INVISIBLE: Final = str.maketrans("", "", "\u200e\u200f\ufeff")


@dataclass
class Said:
    """One message of a chat; `line` is where it begins, `dialogue` counts from 1, `lines` are its words."""

    line: int
    dialogue: int
    time: str
    name: str
    lines: list[str]
    size: int = 0  # of the lines below the first, in characters

    @property
    def text(self) -> str:
        """Its words, without blank lines around them."""
        return "\n".join(self.lines).strip()

    def as_record(self) -> dict[str, object]:
        """As a record with columns."""
        return {"dialogue": self.dialogue, "time": self.time, "name": self.name, "text": self.text}


def begins_with_time(line: str) -> bool:
    """Whether the line begins with a time in brackets, as no list of JSON does."""
    return _BRACKETED.match(line.strip()) is not None


def looks_like_chat(lines: list[str]) -> bool:
    """Whether these first lines are a chat: several messages, and somebody speaks again or two take turns."""
    said = list(read_chat(enumerate(lines, 1)))
    names = [message.name for message in said if message.name]
    return (
        len(names) > 1 and (len(set(names)) < len(names) or len(set(names)) == 2) and bool(said[0].line <= 3)
    )


def read_chat(lines: Iterable[tuple[int, str]], limits: ImportLimits = _LIMITS) -> Iterator[Said]:
    """The messages of a chat; what stands before the first one is passed over. Raises RecordRefused for one that never
    ends."""
    current: Said | None = None
    dialogue = 1
    styles: set[str] = set()
    for number, line in lines:
        text = line.translate(_INVISIBLE).rstrip("\r\n")
        if _BREAK.match(text):
            dialogue += current is not None and current.dialogue == dialogue
            continue
        found = _message(text, number, dialogue, styles)
        if found is None:
            if current is not None:
                current.lines.append(text)
                current.size += len(text) + 1
                limits.refuse_too_long(current.size, current.line)
            continue
        if current is not None:
            yield current
        current = found
    if current is not None:
        yield current


def _message(line: str, number: int, dialogue: int, styles: set[str]) -> Said | None:
    """The message that begins on this line. A chat keeps to its style: where messages bear a time, a line with a colon
    and none continues the one before."""
    stripped = line.strip()
    for pattern in (_BRACKETED, _DASHED, _TIMED, *_HEADS):
        if match := pattern.match(stripped):
            styles.add("timed")
            found = match.groupdict()
            name = (found.get("name") or "").strip()
            return Said(number, dialogue, found["time"].strip(), name, [found.get("text") or ""])
    if "timed" not in styles and (match := _NAMED.match(stripped)) and not match["name"].strip().isdigit():
        return Said(number, dialogue, "", match["name"].strip(), [match["text"]])
    return None
