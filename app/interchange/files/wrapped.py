"""Where the records are in JSON that wraps them: in one field of an object ({"version": …, "data": [{…}, …]}), or each as a
list of messages on a line of its own.

The list may be as long as the file; it is found by what stands before it, and by its first element.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.interchange.mapping.suggesting import DEPTH, suggest
from app.interchange.records.layouts import as_object, get_layout
from app.interchange.sentences.problems import shown

# Under another name, questions with answers may be the rounds of one dialogue.
_LISTS_OF_RECORDS: Final = (
    "data", "dataset", "datasets", "records", "rows", "items", "examples", "samples", "instances", "entries", "list",
    "result", "results", "train",
)  # fmt: skip
_BLANKS: Final = " \t\r\n"


@dataclass(frozen=True)
class Wrapped:
    """The field that holds the list, with points between names; where its bracket stands: how many bytes before it, and on
    which line."""

    field: str
    offset: int
    line: int


def find_list(head: bytes) -> Wrapped | None:
    """Where the records begin, in a file that begins with `{`; None where it holds records one after the other."""
    lines = [line for line in head.split(b"\n") if line.strip()]
    if len(lines) > 1 and _is_whole(lines[0]):
        return None
    text = head.decode("utf-8", "ignore")
    try:
        found = _Walk(text).object(_blank(text, 0), "", 0)[1]
    except (ValueError, IndexError, RecursionError):
        return None
    if found is None:
        return None
    field, place = found
    return Wrapped(shown(field, 80), len(text[:place].encode()), text.count("\n", 0, place) + 1)


def is_list_a_line(head: bytes) -> bool:
    """Whether a file that begins with `[` holds a list of messages on each line."""
    lines = [line.strip() for line in head.split(b"\n", 40) if line.strip()]
    if len(lines) < 2 or not lines[1].startswith(b"["):
        return False
    try:
        return isinstance(as_object(json.loads(lines[0])), Mapping)
    except (RecursionError, ValueError):
        return False


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except (RecursionError, ValueError):
        return False
    return True


def _blank(text: str, place: int) -> int:
    while text[place] in _BLANKS:
        place += 1
    return place


class _Walk:
    """Passes over the fields of an object until one is the list. Raises ValueError or IndexError where the text ends."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._decoder = json.JSONDecoder()

    def object(self, place: int, inside: str, depth: int) -> tuple[int, tuple[str, int] | None]:
        """The place after it, or the list."""
        place = _blank(self._text, place + 1)
        while self._text[place] != "}":
            key, place = self._decoder.raw_decode(self._text, place)
            place = _blank(self._text, _blank(self._text, place) + 1)  # the colon
            path = f"{inside}{key}"
            if self._text[place] == "[" and self._holds_records(place, str(key)):
                return place, (path, place)
            if self._text[place] == "{" and depth < DEPTH:
                place, found = self.object(place, f"{path}.", depth + 1)
                if found:
                    return place, found
            else:
                place = self._decoder.raw_decode(self._text, place)[1]
            place = _blank(self._text, place)
            if self._text[place] == ",":
                place = _blank(self._text, place + 1)
        return place + 1, None

    def _holds_records(self, place: int, key: str) -> bool:
        place = _blank(self._text, place + 1)
        return self._text[place] in "{[" and _is_record(
            self._decoder.raw_decode(self._text, place)[0], key.lower() in _LISTS_OF_RECORDS
        )


def _is_record(value: Any, is_named_so: bool) -> bool:
    """Whether this is a dialogue; a turn is none."""
    if isinstance(value, list):
        return "messages" in as_object(value)
    if not isinstance(value, Mapping):
        return False
    layout = get_layout(value)
    if layout is not None:
        return layout != "alpaca" or is_named_so
    suggestion = suggest([value])
    turns = suggestion.mapping.turns if suggestion else ""
    return turns in ("list", "text") or (turns == "pairs" and is_named_so)
