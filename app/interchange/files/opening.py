"""From the bytes of one file to what its frame tells: records of JSON, rows of Parquet, or a table.

What the records mean is not asked here, so that layouts, dataset_info.json and a person's mapping all begin with the
same reading.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Literal, TypeVar, cast

from app.dialogue.limits import MIB
from app.interchange.files.archives import ZIP_MARK
from app.interchange.files.bytes_in import (
    CHUNK_BYTES,
    UTF8_BOM,
    ByteSource,
    Line,
    LineFeeds,
    decode_utf8,
    split_lines,
)
from app.interchange.files.column_json import is_by_columns, read_columns
from app.interchange.files.csv_columns import (
    HeaderLine,
    find_header_line,
    get_header,
    split_line,
    split_titles,
)
from app.interchange.files.csv_records import csv_rows
from app.interchange.files.encodings import Encoding, Utf8Stream, find_encoding
from app.interchange.files.json_records import Record, read_lines, read_values
from app.interchange.files.limits import ImportLimits
from app.interchange.files.parquet_records import read_parquet
from app.interchange.files.sheets import is_workbook, read_workbook
from app.interchange.files.sniffing import is_parquet, refuse_noise, refuse_other_kinds, spans_lines
from app.interchange.files.tables import Row, Table
from app.interchange.files.wrapped import find_list, is_list_a_line
from app.interchange.mapping.chat_log import begins_with_time, looks_like_chat, read_chat
from app.interchange.sentences import files as say
from app.interchange.sentences.problems import LineNote, LineProblem, RecordRefused, shown

Frame = Literal["auto", "csv", "parquet", "json"]
_Found = TypeVar("_Found")
_READ_FROM_THE_FRONT = ("json", "chat", "csv")
_CSV_NAMES = (".csv", ".tsv")
_JSON_NAMES = (".json", ".jsonl", ".ndjson")
_CHAT_LINES = 60
_HEADER_WITHIN = 20  # lines at the beginning of a table


@dataclass(frozen=True)
class Records:
    """Objects one after the other: of JSON or Parquet, or the messages of a chat."""

    kind: Literal["json", "parquet", "chat"]
    records: Iterator[Record | LineProblem]


@dataclass
class Beginning:
    """How far a file is read where its beginning is enough, and whether that left anything out."""

    at_most: int = 16 * MIB  # unpacked
    left_out: bool = False


@dataclass(frozen=True)
class Opening:
    """How a file is opened: its frame where a person or a layout says it, its encoding, the columns that are wanted
    besides those with a known name, and whether only its beginning will be read."""

    filename: str
    limits: ImportLimits
    frame: Frame = "auto"
    encoding: Encoding = "auto"
    wanted: Collection[str] = ()
    beginning: Beginning | None = None
    notes: list[LineNote] = field(default_factory=list)

    def open(self, stream: BinaryIO) -> Records | Table:
        """What the file holds, or its beginning; `notes` tell of its encoding and its sheets. Raises RecordRefused."""
        content = self._open(stream)
        if self.beginning is None or content.kind not in _READ_FROM_THE_FRONT:
            return content
        if isinstance(content, Records):
            return replace(content, records=_first(content.records, stream, self.beginning))
        return replace(content, rows=_first(content.rows, stream, self.beginning))

    def _open(self, stream: BinaryIO) -> Records | Table:
        source = ByteSource(stream, self.limits)
        head = source.head()
        if not head.removeprefix(UTF8_BOM).strip():
            raise RecordRefused(say.EMPTY_FILE)
        if is_parquet(head):
            if self.frame not in ("auto", "parquet"):
                raise RecordRefused(say.IS_PARQUET)
            return Records("parquet", read_parquet(source, self.limits, tuple(self.wanted)))
        if head.startswith(ZIP_MARK):
            stream.seek(0)
            if is_workbook(stream, self.limits):
                table, notes = read_workbook(stream)
                self.notes.extend(notes)
                return table
        refuse_other_kinds(head)
        if self.frame == "parquet":
            raise RecordRefused(say.NOT_PARQUET)
        return self._open_text(*self._decoded(stream, head))

    def _decoded(self, stream: BinaryIO, head: bytes) -> tuple[ByteSource, bytes]:
        stream.seek(0)
        at_most = self.beginning.at_most if self.beginning else None
        found = find_encoding(stream, head, self.limits, self.encoding, at_most=at_most)
        if not found.is_utf8 and not found.chosen:
            self.notes.append(LineNote.of(say.READ_AS, encoding=found.name))
        text = stream if found.is_utf8 else cast(BinaryIO, Utf8Stream(stream, found))
        source = ByteSource(text, self.limits)
        head = source.head()
        if b"\r" in head and b"\n" not in head:
            stream.seek(0)
            text = stream if found.is_utf8 else cast(BinaryIO, Utf8Stream(stream, found))
            source = ByteSource(cast(BinaryIO, LineFeeds(text)), self.limits)
            head = source.head()
        refuse_noise(head)
        if head.startswith(UTF8_BOM):
            source.skip(len(UTF8_BOM))
            head = head.removeprefix(UTF8_BOM)
        if not head.strip():
            raise RecordRefused(say.EMPTY_FILE)  # a mark of an encoding, and no character
        return source, head

    def _open_text(self, source: ByteSource, head: bytes) -> Records | Table:
        first_line = head.split(b"\n", 1)[0]
        beginning = head.lstrip()[:1]
        if self.frame == "csv":
            return self._table(source, head)
        if beginning == b"[" and begins_with_time(first_line.decode("utf-8", "replace")):
            return Records("chat", self._chat(source))
        if beginning == b"[":
            if is_list_a_line(head):
                return Records("json", read_lines(source, self.limits))
            return Records("json", read_values(source, self.limits, in_list=True))
        if beginning == b"{":
            if is_by_columns(head):
                return Records("json", read_columns(source, self.limits))
            if wrapped := find_list(head):
                self.notes.append(LineNote.of(say.WRAPPED, field=wrapped.field))
                source.skip(wrapped.offset)
                return Records(
                    "json", read_values(source, self.limits, in_list=True, wrapped_from=wrapped.line)
                )
            if spans_lines(head):
                return Records("json", read_values(source, self.limits, in_list=False))
            return Records("json", read_lines(source, self.limits))
        name = self.filename.lower()
        if name.endswith(_CSV_NAMES) and self.wanted:
            return self._table(source, head)
        if self.frame == "json" or name.endswith(_JSON_NAMES):
            return Records("json", read_lines(source, self.limits))
        if name.endswith(_CSV_NAMES) or get_header(split_titles(self._header_line(head).text)[1]):
            return self._table(source, head)
        return self._open_unknown(source, head)

    def _open_unknown(self, source: ByteSource, head: bytes) -> Records | Table:
        lines = [decode_utf8(line, number) for number, line in enumerate(_whole_lines(head), 1)]
        if looks_like_chat(lines):
            return Records("chat", self._chat(source))
        widths = {len(split_line(line, split_titles(lines[0], self.wanted)[0])) for line in lines[:2]}
        if len(lines) > 1 and widths != {1} and len(widths) == 1:
            return self._table(source, head)
        raise RecordRefused(say.UNRECOGNISED)

    def _chat(self, source: ByteSource) -> Iterator[Record | LineProblem]:
        lines = ((line.number, self._text(line)) for line in split_lines(source, self.limits))
        return (Record(said.line, said.as_record()) for said in read_chat(lines, self.limits))

    def _text(self, line: Line) -> str:
        if line.data is None:
            raise self.limits.too_long(line.number)
        return decode_utf8(line.data, line.number)

    def _header_line(self, head: bytes) -> HeaderLine:
        lines = head.split(b"\n", _HEADER_WITHIN)
        whole = [decode_utf8(lines[0], 1)] + [
            line.decode("utf-8", "replace") for line in lines[1:_HEADER_WITHIN]
        ]
        return find_header_line(whole, self.wanted)

    def _table(self, source: ByteSource, head: bytes) -> Table:
        header = self._header_line(head)
        if header.above:
            self.notes.append(
                LineNote.of(say.ABOVE_THE_COLUMNS, row=header.skipped + 1, found=shown(header.above))
            )
        delimiter, titles = split_titles(header.text, self.wanted)
        return Table("csv", titles, csv_rows(source, delimiter, len(titles), self.limits, header.skipped))


def _first(found: Iterator[_Found], stream: BinaryIO, beginning: Beginning) -> Iterator[_Found]:
    for one in found:
        if stream.tell() > beginning.at_most:
            beginning.left_out = True
            return
        yield one


def _whole_lines(head: bytes) -> list[bytes]:
    """The first lines that are not blank, none of them cut at the end of what was looked at."""
    lines = head.split(b"\n")
    whole = lines[:-1] if len(head) >= CHUNK_BYTES else lines
    return [line for line in whole if line.strip()][:_CHAT_LINES]


def raw_records(
    content: Records | Table, needed: Callable[[Mapping[str, str]], Collection[str]] | None = None
) -> Iterator[Record | LineProblem]:
    """The rows of a table as records under the names of its columns; records as they are. `needed`: the columns whose values a row cannot
    do without, all where nobody has said; a row is refused that lacks one of them, though something stands there.
    """
    if isinstance(content, Records):
        return content.records
    names = content.names()
    return (row if isinstance(row, LineProblem) else _named(row, names, needed) for row in content.rows)


def _named(
    row: Row, names: tuple[str, ...], needed: Callable[[Mapping[str, str]], Collection[str]] | None
) -> Record | LineProblem:
    value = dict(zip(names, row.cells, strict=False))
    if row.unsaved:
        read = needed(value) if needed else names
        if problem := row.unreadable({place for place, name in enumerate(names) if name in read}):
            return problem
    return Record(row.line, value)


def nothing_needed(_row: Mapping[str, str]) -> Collection[str]:
    """Where rows are only looked at."""
    return ()
