"""Records of a table, row by row; the rows of one conversation are gathered while they follow each
other."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.dialogue.reading import refuse_too_many
from app.dialogue.refusals import DialogueRefused
from app.interchange.files.bytes_in import ByteSource, decode_utf8, split_lines
from app.interchange.files.csv_columns import Header
from app.interchange.files.formulas import restore
from app.interchange.files.json_records import Record
from app.interchange.files.limits import ImportLimits
from app.interchange.files.tables import Row, Table
from app.interchange.sentences import files as say
from app.interchange.sentences.problems import LineProblem, RecordRefused, from_dialogue
from app.interchange.sentences.records import NUL_CHARACTER

_TRUE = ("true", "yes", "1", "是")
_FALSE = ("false", "no", "0", "否")
_MESSAGE_COLUMNS = ("conversation_id", "role", "content", "train")


@dataclass(frozen=True)
class _Row:
    line: int
    cells: dict[str, str]


def read_table(table: Table, header: Header, limits: ImportLimits) -> Iterator[Record | LineProblem]:
    """One record per conversation, with the fields of the messages layout or of the Alpaca layout."""
    rows = (row if isinstance(row, LineProblem) else _named(row, header) for row in table.rows)
    if header.per_message:
        yield from _gather(rows, limits)
        return
    for row in rows:
        yield Record(row.line, _present(row.cells)) if isinstance(row, _Row) else row


def _named(row: Row, header: Header) -> _Row | LineProblem:
    if row.unsaved and (problem := row.unreadable(header.read)):
        return problem
    return _Row(row.line, dict(zip(header.columns, row.cells, strict=False)))


class _TextLines:
    """Lines for the csv module. A class, because unlike a generator it survives the errors it raises."""

    def __init__(self, source: ByteSource, limits: ImportLimits) -> None:
        self._lines = split_lines(source, limits)
        self._limits = limits
        self.number = 0  # of the line handed out last

    def __iter__(self) -> _TextLines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number = line.number
        if line.data is None:
            raise self._limits.too_long(line.number)
        if b"\x00" in line.data:
            raise RecordRefused(NUL_CHARACTER, line.number)
        return decode_utf8(line.data, line.number) + "\n"


def csv_rows(
    source: ByteSource, delimiter: str, width: int, limits: ImportLimits, above: int = 0
) -> Iterator[Row | LineProblem]:
    """The rows below the header, whose `width` no row may exceed; `above` it stand so many lines that are none."""
    lines = _TextLines(source, limits)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for _ in range(above):
            next(lines)
        if next(reader, None) is None:  # the header, whose names are known already
            return
    except csv.Error as error:
        yield _csv_problem(error, 1)
        return
    while True:
        first = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _csv_problem(error, first)
            return  # what follows may be the inside of a quoted cell
        except RecordRefused as refusal:
            if not refusal.line:
                raise  # about the file, not about this line
            yield refusal.as_problem()
            if refusal.code == say.LOOKS_GBK.code:
                return
        else:
            if len(cells) > width:
                yield LineProblem.of(say.CSV_CELLS, first, found=len(cells), expected=width)
            elif any(cells):
                yield Row(first, tuple(map(restore, cells)))


def _csv_problem(error: csv.Error, line: int) -> LineProblem:
    text = str(error)
    if "field limit" in text:
        return LineProblem.of(say.CSV_CELL_TOO_LONG, line, limit=csv.field_size_limit())
    if "unexpected end" in text:
        return LineProblem.of(say.CSV_UNFINISHED, line)
    return LineProblem.of(say.CSV_BROKEN, line)


def _present(cells: dict[str, str]) -> dict[str, Any]:
    """The cells as fields. An empty language cell stays: it says that the language is unknown."""
    return {column: cell for column, cell in cells.items() if cell or column == "language"}


@dataclass
class _Conversation:
    """The rows with one conversation_id, as long as they follow each other."""

    id: str
    line: int
    limits: ImportLimits
    unreadable_row: int | None = None
    refusal: RecordRefused | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    labels: dict[str, Any] = field(default_factory=dict)
    _size: int = 0

    def add(self, row: _Row) -> None:
        self._size += sum(map(len, row.cells.values()))
        if self._size > self.limits.record_bytes:
            self.refusal = self.refusal or self.limits.too_long(self.line)
            self.messages, self.lines = [], []
        try:
            refuse_too_many(len(self.messages) + 1)
        except DialogueRefused as refused:
            self.refusal = self.refusal or from_dialogue(refused, self.line)
        if self.refusal:
            return
        message: dict[str, Any] = {column: row.cells.get(column, "") for column in ("role", "content")}
        message["train"] = _flag(row.cells.get("train", ""))
        self.messages.append(message)
        self.lines.append(row.line)
        for column, cell in row.cells.items():
            if column not in _MESSAGE_COLUMNS and not self.labels.get(column):
                self.labels[column] = cell

    def close(self) -> Record | LineProblem:
        if self.refusal:
            return self.refusal.as_problem()
        if self.unreadable_row is not None:
            return LineProblem.of(say.CSV_INCOMPLETE, self.line, row=self.unreadable_row)
        value = {**_present(self.labels), "messages": self.messages}
        return Record(self.line, value, tuple(self.lines))


def _gather(rows: Iterator[_Row | LineProblem], limits: ImportLimits) -> Iterator[Record | LineProblem]:
    current: _Conversation | None = None
    unreadable: int | None = None  # a row since the last good one: it may belong before or after
    ended: set[bytes] = set()
    for row in rows:
        problem = row if isinstance(row, LineProblem) else _without_id(row)
        if problem is not None:
            yield problem
            unreadable = problem.line
            if current:
                current.unreadable_row = current.unreadable_row or unreadable
            continue
        assert isinstance(row, _Row)
        name = row.cells["conversation_id"]
        if current is None or current.id != name:
            if current:
                yield current.close()
            current = _Conversation(name, row.line, limits, unreadable)
            digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
            if digest in ended:
                current.refusal = RecordRefused(say.CSV_SCATTERED, row.line, id=name[:40])
            ended.add(digest)
        unreadable = None
        current.add(row)
    if current:
        yield current.close()


def _without_id(row: _Row) -> LineProblem | None:
    if row.cells.get("conversation_id", "").strip():
        return None
    return LineProblem.of(say.CSV_NO_ID, row.line)


def _flag(cell: str) -> bool | str | None:
    """True, False, None for an empty cell; anything else is returned and refused where messages are
    read."""
    word = cell.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    return cell if word else None
