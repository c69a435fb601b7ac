"""A file of dialogues in, conversations and problems out, one at a time and in bounded memory.

Nothing is raised for bad content: whatever the bytes are, the answer is a sentence with a line number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Literal, get_args

from app.interchange import file_troubles as say
from app.interchange.bytes_in import UTF8_BOM, ByteSource, decode_utf8
from app.interchange.csv_columns import get_header, require_header
from app.interchange.csv_records import read_csv
from app.interchange.json_records import Record, read_lines, read_values
from app.interchange.layouts import Layout, LayoutReader
from app.interchange.limits import ImportLimits
from app.interchange.message_reading import Reading
from app.interchange.parquet_records import read_parquet
from app.interchange.problems import LineNote, LineProblem, RecordRefused
from app.interchange.sniffing import is_parquet, refuse_what_is_not_text, spans_lines

Format = Literal["auto", "messages", "sharegpt", "alpaca", "csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
_LAYOUTS: dict[str, Layout] = {"messages": "messages", "sharegpt": "sharegpt", "alpaca": "alpaca"}
_CSV_NAMES = (".csv", ".tsv")
_JSON_NAMES = (".json", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class ParsedConversation:
    """A conversation in our canonical shape; `line` is where it starts (Parquet: the row number)."""

    line: int
    conversation: dict[str, Any]
    notes: tuple[LineNote, ...] = ()
    format: str = "messages"
    record: int = 0  # counts the conversations of the file from 1, refused ones too


def read_conversations(
    stream: BinaryIO,
    *,
    filename: str | None = None,
    format: Format = "auto",
    limits: ImportLimits | None = None,
) -> Iterator[ParsedConversation | LineProblem]:
    """Every record of the file as exactly one conversation or problem, in the order of the file.

    Problems with line 0 concern the whole file and end it. `filename` only breaks ties where the content
    does not tell the format. Raises ValueError for an unknown `format`, and what `stream.read` raises.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format {format!r}; known: {', '.join(FORMATS)}")
    return _read(stream, (filename or "").lower(), format, limits or ImportLimits())


def _read(
    stream: BinaryIO, filename: str, format: Format, limits: ImportLimits
) -> Iterator[ParsedConversation | LineProblem]:
    count = 0
    try:
        name, layout, records = _open(ByteSource(stream, limits), filename, format, limits)
        reader = LayoutReader(layout)
        for record in records:
            count += 1
            if count > limits.conversations:
                yield LineProblem.of(say.TOO_MANY_RECORDS, limit=limits.conversations)
                return
            if isinstance(record, LineProblem):
                yield replace(record, record=count)
            else:
                yield _parse(record, count, reader, name, limits)
        if count == 0:
            yield LineProblem.of(say.NO_RECORDS)
    except RecordRefused as refusal:
        yield refusal.as_problem()


def _parse(
    record: Record, count: int, reader: LayoutReader, name: str | None, limits: ImportLimits
) -> ParsedConversation | LineProblem:
    reading = Reading(record.line, limits)
    try:
        conversation = reader.read(record, reading)
    except RecordRefused as refusal:
        return replace(refusal.as_problem(), record=count)
    notes = tuple(replace(note, record=count) for note in reading.notes)
    return ParsedConversation(record.line, conversation, notes, name or str(reader.layout), count)


_Opened = tuple[str | None, Layout | None, Iterator[Record | LineProblem]]


def _open(source: ByteSource, filename: str, format: Format, limits: ImportLimits) -> _Opened:
    """The format's name if the frame alone tells it, the layout if it is known, and the records."""
    head = source.head()
    if not head.removeprefix(UTF8_BOM).strip():
        raise RecordRefused(say.EMPTY_FILE)
    if is_parquet(head):
        if format not in ("auto", "parquet"):
            raise RecordRefused(say.IS_PARQUET)
        return "parquet", None, read_parquet(source, limits)
    refuse_what_is_not_text(head)
    if format == "parquet":
        raise RecordRefused(say.NOT_PARQUET)
    if head.startswith(UTF8_BOM):
        source.skip(len(UTF8_BOM))
        head = head.removeprefix(UTF8_BOM)
    return _open_text(source, head, filename, format, limits)


def _open_text(
    source: ByteSource, head: bytes, filename: str, format: Format, limits: ImportLimits
) -> _Opened:
    first_line = head.split(b"\n", 1)[0]
    beginning = head.lstrip()[:1]
    layout = _LAYOUTS.get(format)
    if format == "csv":
        return _open_csv(source, first_line, limits)
    if beginning == b"[":
        return None, layout, read_values(source, limits, in_list=True)
    if beginning == b"{":
        if spans_lines(head):
            return None, layout, read_values(source, limits, in_list=False)
        return None, layout, read_lines(source, limits)
    if layout is not None or filename.endswith(_JSON_NAMES):
        return None, layout, read_lines(source, limits)
    if filename.endswith(_CSV_NAMES) or get_header(decode_utf8(first_line, 1)) is not None:
        return _open_csv(source, first_line, limits)
    raise RecordRefused(say.UNRECOGNISED)


def _open_csv(source: ByteSource, first_line: bytes, limits: ImportLimits) -> _Opened:
    header = require_header(decode_utf8(first_line, 1))
    layout: Layout = "messages" if header.per_message else "alpaca"
    return "csv", layout, read_csv(source, header, limits)
