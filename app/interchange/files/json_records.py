"""Records of a JSON file one at a time: JSON Lines, a JSON list, or objects printed over several lines.

A list is never loaded as a whole. Only brackets and quotation marks are followed, to find where each
record ends; what is between goes to the strict decoder, so that a bad record does not spoil the ones
after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from app.dialogue.limits import spoken_size
from app.interchange.files.bytes_in import ByteSource, decode_utf8, split_lines
from app.interchange.files.limits import ImportLimits
from app.interchange.files.strict_json import StrictJson
from app.interchange.sentences import records as say
from app.interchange.sentences.files import LOOKS_GBK
from app.interchange.sentences.problems import LineProblem, RecordRefused, shown

_OUTSIDE_STRING = re.compile(rb'["{}\[\]]')
_INSIDE_STRING = re.compile(rb'["\\]')
_SCALAR = re.compile(rb'["\d-]|true\b|false\b|null\b')
_BLANKS = re.compile(rb"[ \t\r\n]*")
_GIVE_UP = 4  # times the longest record: then a bracket is missing, and following the rest is in vain


@dataclass(frozen=True)
class Record:
    """One parsed record; `message_lines` where its messages stand on lines of their own (CSV)."""

    line: int
    value: Any
    message_lines: tuple[int, ...] | None = None


def read_lines(source: ByteSource, limits: ImportLimits) -> Iterator[Record | LineProblem]:
    """JSON Lines; blank lines are passed over."""
    strict = StrictJson(limits)
    for line in split_lines(source, limits):
        if line.data is not None and not line.data.strip():
            continue
        try:
            if line.data is None:
                raise limits.too_long(line.number)
            yield Record(line.number, strict.parse(_json_text(line.data, line.number), line.number))
        except RecordRefused as refusal:
            yield refusal.as_problem()
            if refusal.code == LOOKS_GBK.code:
                return  # the encoding is a property of the file; saying it once is enough


def read_values(
    source: ByteSource, limits: ImportLimits, *, in_list: bool, wrapped_from: int = 0
) -> Iterator[Record | LineProblem]:
    """The elements of a JSON list, or (not `in_list`) objects that follow each other. `wrapped_from` is the line on which
    the list begins as a field of an object; what follows it is then passed over."""
    strict = StrictJson(limits)
    splitter = _Splitter(limits, in_list=in_list, wrapped_from=wrapped_from)
    try:
        for chunk in source.chunks():
            for line, data in splitter.feed(chunk):
                try:
                    if data is None:
                        raise limits.too_long(line)
                    yield Record(line, strict.parse(_json_text(data, line), line))
                except RecordRefused as refusal:
                    yield refusal.as_problem()
                    if refusal.code == LOOKS_GBK.code:
                        return
        splitter.finish()
    except RecordRefused as refusal:
        yield refusal.as_problem()


def _json_text(data: bytes, line: int) -> str:
    # Trailing blanks would hide that a record stops in the middle; leading ones carry the line count.
    return decode_utf8(data, line).rstrip(" \t\r\n")


class _Splitter:
    """Cuts a stream of bytes into records; holds at most one record, however long the file is.

    `_expects` is what may come between records: "open" (the list's bracket), "first" (a value or the end),
    "value" (after a comma), "next" (a comma or the end), "any" (values without a list), "end" (nothing).
    """

    def __init__(self, limits: ImportLimits, *, in_list: bool, wrapped_from: int = 0) -> None:
        self._limits = limits
        self._limit = limits.record_bytes
        self._in_list = in_list
        self._expects = "open" if in_list else "any"
        self._wrapped = bool(wrapped_from)
        self._line = wrapped_from or 1
        self._record_line = 1
        self._pieces: list[bytes] = []
        self._held = 0
        self._depth = 0
        self._in_string = False
        self._skip_first = False  # the chunk before ended with a backslash

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes | None]]:
        position = 0
        while position < len(chunk):
            if self._depth == 0:
                position = self._between(chunk, position)
                if position >= len(chunk):
                    break
                self._record_line = self._line
            end = self._follow(chunk, position)
            self._hold(chunk[position:end])
            self._line += chunk.count(b"\n", position, end)
            position = end
            if self._depth == 0:
                too_long = self._held > self._limit
                yield self._record_line, None if too_long else b"".join(self._pieces)
                self._pieces, self._held = [], 0
                self._expects = "next" if self._in_list else "any"

    def finish(self) -> None:
        """Raise RecordRefused when the file stops inside a record or an open list."""
        if self._depth:
            self._limits.refuse_too_long(self._held, self._record_line)
            raise RecordRefused(say.HALF_RECORD, self._record_line)
        if self._expects not in ("any", "end"):
            raise RecordRefused(say.LIST_UNFINISHED, self._line)

    def _between(self, chunk: bytes, position: int) -> int:
        """Pass over blanks, commas and the list's own brackets; stop where a record begins."""
        while True:
            end = _BLANKS.match(chunk, position).end()  # type: ignore[union-attr]  # it matches nothing too
            self._line += chunk.count(b"\n", position, end)
            position, byte = end, chunk[end : end + 1]
            if self._wrapped and self._expects == "end":
                return len(chunk)
            if not byte or (byte in b"{[" and self._expects in ("first", "value", "any")):
                return position
            if byte == b"[" and self._expects == "open":
                self._expects = "first"
            elif byte == b"," and self._expects == "next":
                self._expects = "value"
            elif byte == b"]" and self._expects in ("first", "next"):
                self._expects = "end"
            else:
                self._refuse(chunk[position : position + 20])
            position += 1

    def _refuse(self, found: bytes) -> NoReturn:
        if self._expects == "end":
            raise RecordRefused(say.LIST_TRAILING, self._line)
        if self._expects == "any":
            raise RecordRefused(say.NOT_AN_OBJECT, self._line)
        text = found.split(b"\n")[0].decode("utf-8", errors="ignore") or found[:1].hex()
        if self._expects in ("first", "value") and _SCALAR.match(found):
            raise RecordRefused(say.LIST_OF_OTHERS, self._line, found=shown(text, 20))
        raise RecordRefused(say.LIST_BROKEN, self._line, found=shown(text, 20))

    def _follow(self, chunk: bytes, position: int) -> int:
        """Follow the record up to its end or the end of the chunk; returns the position after it."""
        if self._skip_first:
            position, self._skip_first = position + 1, False
        while True:
            match = (_INSIDE_STRING if self._in_string else _OUTSIDE_STRING).search(chunk, position)
            if match is None:
                return len(chunk)
            position, mark = match.end(), match.group()
            if mark == b'"':
                self._in_string = not self._in_string
            elif mark == b"\\":
                position += 1
                if position > len(chunk):
                    self._skip_first = True
                    return len(chunk)
            elif mark in (b"{", b"["):
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == 0:
                    return position

    def _hold(self, piece: bytes) -> None:
        self._held += len(piece)
        if self._held > _GIVE_UP * self._limit:
            limit = spoken_size(_GIVE_UP * self._limit)
            raise RecordRefused(say.ENDLESS_RECORD, self._record_line, limit=limit)
        if self._held <= self._limit:
            self._pieces.append(piece)
        else:
            self._pieces = []
