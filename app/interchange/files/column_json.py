"""JSON that was written column by column: {"name": {"0": …, "1": …}, …}, as data frames are saved.

The columns stand one after the other, so that no record is whole before the end of the file. Where each value stands is
written down while the file is passed over, on the disk; then the values are gathered row by row.
"""

from __future__ import annotations

import json
import mmap
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final, Literal, NoReturn

from app.interchange.files.bytes_in import CHUNK_BYTES, ByteSource, decode_utf8
from app.interchange.files.json_records import Record
from app.interchange.files.limits import ImportLimits
from app.interchange.files.strict_json import StrictJson
from app.interchange.sentences import records as say
from app.interchange.sentences.problems import LineProblem, RecordRefused

_BEGINNING: Final = re.compile(rb'\s*\{\s*"[^"\\]*"\s*:\s*\{\s*"0"\s*:')
# Possessive: a way back from each character would take a hundred times the memory of the text.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_MARK: Final = re.compile(rb'["{}\[\]]')
_SCALAR: Final = re.compile(rb"[^\s,}\]]+")
_BLANKS: Final = re.compile(rb"\s*")
_TABLES: Final = """
CREATE TABLE cell (number INTEGER, column INTEGER, start INTEGER, stop INTEGER);
CREATE TABLE row (number INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE title (number INTEGER PRIMARY KEY, name TEXT UNIQUE);
"""
_NUMBERED: Final = {
    "row": ("INSERT OR IGNORE INTO row (name) VALUES (?)", "SELECT number FROM row WHERE name = ?"),
    "title": ("INSERT OR IGNORE INTO title (name) VALUES (?)", "SELECT number FROM title WHERE name = ?"),
}
_SIZE: Final = """
SELECT sum(stop - start + length(name)) FROM cell JOIN title ON title.number = cell.column WHERE cell.number = ?
"""
_PLACES: Final = """
SELECT name, start, stop FROM cell JOIN title ON title.number = cell.column WHERE cell.number = ? ORDER BY cell.rowid
"""


def is_by_columns(head: bytes) -> bool:
    """Whether the file begins as a data frame written column by column does."""
    return _BEGINNING.match(head) is not None


def read_columns(source: ByteSource, limits: ImportLimits) -> Iterator[Record | LineProblem]:
    """One record for each row; its line is the number of the row. Raises RecordRefused for a file that is not whole."""
    with tempfile.TemporaryFile() as file, closing(sqlite3.connect("")) as held:
        for chunk in source.chunks():
            file.write(chunk)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            held.executescript(_TABLES)
            held.executemany("INSERT INTO cell VALUES (?, ?, ?, ?)", _Passing(data, held, limits).cells())
            held.execute("CREATE INDEX cells ON cell (number)")
            yield from _rows(data, held, limits)


def _rows(data: mmap.mmap, held: sqlite3.Connection, limits: ImportLimits) -> Iterator[Record | LineProblem]:
    strict = StrictJson(limits)
    for (number,) in held.execute("SELECT number FROM row ORDER BY number"):
        try:
            limits.refuse_too_long(held.execute(_SIZE, (number,)).fetchone()[0], number)
            value: dict[str, Any] = {}
            for column, start, stop in held.execute(_PLACES, (number,)):
                found = strict.parse(decode_utf8(data[start:stop], number), number)
                if found is not None:
                    value[column] = found
            yield Record(number, value)
        except RecordRefused as refusal:
            refusal.line = number
            yield refusal.as_problem()


class _Passing:
    """Passes over the file once."""

    def __init__(self, data: mmap.mmap, held: sqlite3.Connection, limits: ImportLimits) -> None:
        self._data, self._held, self._limits = data, held, limits
        self._at = 0

    def cells(self) -> Iterator[tuple[int, int, int, int]]:
        """Row number, column number, and where the value stands."""
        self._take(b"{")
        while True:
            column = self._number("title", self._name())
            self._take(b":")
            self._take(b"{")
            if not self._ends(b"}"):
                while True:
                    row = self._number("row", self._name())
                    self._take(b":")
                    start = self._blank()
                    self._at = self._end_of_value(start)
                    yield row, column, start, self._at
                    if self._ends(b"}"):
                        break
                    self._take(b",")
            if self._ends(b"}"):
                return
            self._take(b",")

    def _number(self, table: Literal["row", "title"], name: str) -> int:
        insert, select = _NUMBERED[table]
        self._held.execute(insert, (name,))
        number: int = self._held.execute(select, (name,)).fetchone()[0]
        return number

    def _blank(self) -> int:
        self._at = _BLANKS.match(self._data, self._at).end()  # type: ignore[union-attr]  # it matches nothing too
        return self._at

    def _take(self, byte: bytes) -> None:
        if not self._ends(byte):
            self._refuse()

    def _ends(self, byte: bytes) -> bool:
        start = self._blank()
        if self._data[start : start + 1] != byte:
            return False
        self._at += 1
        return True

    def _name(self) -> str:
        match = _STRING.match(self._data, self._blank())
        if match is None:
            self._refuse()
        self._at = match.end()
        try:
            name = str(json.loads(match.group()))
            name.encode()  # half of a character is none
        except ValueError:
            self._refuse()
        return name

    def _end_of_value(self, start: int) -> int:
        first = self._data[start : start + 1]
        if first == b'"':
            match = _STRING.match(self._data, start)
        elif first not in (b"{", b"["):
            match = _SCALAR.match(self._data, start)
        else:
            return self._end_of_brackets(start)
        if match is None:
            self._refuse()
        return match.end()

    def _end_of_brackets(self, at: int) -> int:
        depth = 0
        while (match := _MARK.search(self._data, at)) is not None:
            at = match.end()
            if match.group() == b'"':
                string = _STRING.match(self._data, match.start())
                if string is None:
                    break
                at = string.end()
            else:
                depth += 1 if match.group() in b"{[" else -1
                if depth == 0:
                    return at
        self._refuse()

    def _refuse(self) -> NoReturn:
        starts = range(0, self._at, CHUNK_BYTES)
        breaks = sum(self._data[at : min(at + CHUNK_BYTES, self._at)].count(b"\n") for at in starts)
        raise RecordRefused(say.COLUMNS_BROKEN, breaks + 1)
