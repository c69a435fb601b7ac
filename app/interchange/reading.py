"""A file of dialogues in, conversations and problems out, one at a time and in bounded memory.

Nothing is raised for bad content: whatever the bytes are, the answer is a sentence with a line number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal, get_args

from app.dialogue.conversation import Conversation
from app.dialogue.trained import SourceMask, apply_source_mask, with_shortest_flags
from app.interchange.files.bytes_in import UTF8_BOM, ByteSource, decode_utf8
from app.interchange.files.csv_columns import get_header, require_header, require_mapped_header
from app.interchange.files.csv_records import read_csv
from app.interchange.files.json_records import Record, read_lines, read_values
from app.interchange.files.limits import ImportLimits
from app.interchange.files.parquet_records import read_parquet
from app.interchange.files.sniffing import is_parquet, refuse_what_is_not_text, spans_lines
from app.interchange.records.column_map import ColumnMap
from app.interchange.records.layouts import Layout, LayoutReader
from app.interchange.records.message_reading import Reading
from app.interchange.sentences import files as say
from app.interchange.sentences import sources as say_of_source
from app.interchange.sentences.problems import LineNote, LineProblem, RecordRefused, SourceRefused, shown

Format = Literal["auto", "messages", "sharegpt", "alpaca", "csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
_LAYOUTS: dict[str, Layout] = {"messages": "messages", "sharegpt": "sharegpt", "alpaca": "alpaca"}
_CSV_NAMES = (".csv", ".tsv")
_JSON_NAMES = (".json", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class ParsedConversation:
    """A conversation in our canonical shape; `line` is where it starts (Parquet: the row number)."""

    line: int
    conversation: Conversation
    notes: tuple[LineNote, ...] = ()
    format: str = "messages"
    record: int = 0  # counts the conversations of the file from 1, refused ones too


@dataclass(frozen=True)
class Source:
    """What a person said of the tool that a file comes from: its columns, what it trained, the name of its
    train flag where that is none of the usual ones."""

    columns: ColumnMap | None = None
    mask: SourceMask = "file"
    train_field: str | None = None


def read_conversations(
    stream: BinaryIO,
    *,
    filename: str | None = None,
    format: Format = "auto",
    limits: ImportLimits | None = None,
    source: Source | None = None,
) -> Iterator[ParsedConversation | LineProblem]:
    """Every record of the file as exactly one conversation or problem, in the order of the file.

    Problems with line 0 concern the whole file and end it. `filename` only breaks ties where the content
    does not tell the format. Raises ValueError for an unknown `format`, SourceRefused where `source` says
    something else than `format`, and what `stream.read` raises.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format {format!r}; known: {', '.join(FORMATS)}")
    source = source or Source()
    require_one_format(source, format)
    return _Reader((filename or "").lower(), format, limits or ImportLimits(), source).read(stream)


def require_one_format(source: Source, format: Format) -> None:
    """Raises SourceRefused where dataset_info.json and the chosen format say different things."""
    if source.columns and format in _LAYOUTS and format != source.columns.layout:
        raise SourceRefused(say_of_source.FORMAT_CONFLICT, expected=source.columns.layout, chosen=format)


_Opened = tuple[str | None, Layout | None, Iterator[Record | LineProblem]]


class _Reader:
    """Reads one file."""

    def __init__(self, filename: str, format: Format, limits: ImportLimits, source: Source) -> None:
        self._filename = filename
        self._format = format
        self._limits = limits
        self._source = source
        self._saw_train_field = source.train_field is None

    def read(self, stream: BinaryIO) -> Iterator[ParsedConversation | LineProblem]:
        limits, count = self._limits, 0
        try:
            name, layout, records = self._open(ByteSource(stream, limits))
            reader = LayoutReader(layout)
            for record in records:
                count += 1
                if count > limits.conversations:
                    yield LineProblem.of(say.TOO_MANY_RECORDS, limit=limits.conversations)
                    return
                if isinstance(record, LineProblem):
                    yield replace(record, record=count)
                else:
                    yield self._parse(record, count, reader, name)
            if count == 0:
                yield LineProblem.of(say.NO_RECORDS)
            elif not self._saw_train_field:
                field = shown(self._source.train_field or "", 80)
                yield LineProblem.of(say_of_source.TRAIN_FIELD_ABSENT, field=field)
        except RecordRefused as refusal:
            yield refusal.as_problem()

    def _parse(
        self, record: Record, count: int, reader: LayoutReader, name: str | None
    ) -> ParsedConversation | LineProblem:
        source = self._source
        reading = Reading(record.line, self._limits, source.train_field)
        try:
            if source.columns and isinstance(record.value, Mapping):
                record = replace(record, value=source.columns.apply(record.value, reading))
            conversation = reader.read(record, reading)
        except RecordRefused as refusal:
            self._saw_train_field |= reading.saw_train_field
            return replace(refusal.as_problem(), record=count)
        self._saw_train_field |= reading.saw_train_field
        if source.mask != "file":
            conversation = self._masked(conversation, reading)
        notes = tuple(replace(note, record=count) for note in reading.notes)
        return ParsedConversation(record.line, conversation, notes, name or str(reader.layout), count)

    def _masked(self, conversation: Conversation, reading: Reading) -> Conversation:
        masked = apply_source_mask(conversation, self._source.mask)
        has_flags = any("train" in message for message in conversation["messages"])
        if has_flags and with_shortest_flags(conversation) != masked:
            reading.note(say_of_source.FLAGS_REPLACED)
        return masked

    def _open(self, source: ByteSource) -> _Opened:
        """The format's name if the frame alone tells it, the layout if it is known, and the records."""
        head = source.head()
        if not head.removeprefix(UTF8_BOM).strip():
            raise RecordRefused(say.EMPTY_FILE)
        columns = self._source.columns
        layout = columns.layout if columns else None
        if is_parquet(head):
            if self._format not in ("auto", "parquet"):
                raise RecordRefused(say.IS_PARQUET)
            more = tuple(columns.columns.values()) if columns else ()
            return "parquet", layout, read_parquet(source, self._limits, more)
        refuse_what_is_not_text(head)
        if self._format == "parquet":
            raise RecordRefused(say.NOT_PARQUET)
        if head.startswith(UTF8_BOM):
            source.skip(len(UTF8_BOM))
            head = head.removeprefix(UTF8_BOM)
        return self._open_text(source, head, layout or _LAYOUTS.get(self._format))

    def _open_text(self, source: ByteSource, head: bytes, layout: Layout | None) -> _Opened:
        first_line = head.split(b"\n", 1)[0]
        beginning = head.lstrip()[:1]
        if self._format == "csv":
            return self._open_csv(source, first_line)
        if beginning == b"[":
            return None, layout, read_values(source, self._limits, in_list=True)
        if beginning == b"{":
            if spans_lines(head):
                return None, layout, read_values(source, self._limits, in_list=False)
            return None, layout, read_lines(source, self._limits)
        is_csv = self._filename.endswith(_CSV_NAMES)
        if is_csv and self._source.columns:
            return self._open_csv(source, first_line)
        if layout is not None or self._filename.endswith(_JSON_NAMES):
            return None, layout, read_lines(source, self._limits)
        if is_csv or get_header(decode_utf8(first_line, 1)) is not None:
            return self._open_csv(source, first_line)
        raise RecordRefused(say.UNRECOGNISED)

    def _open_csv(self, source: ByteSource, first_line: bytes) -> _Opened:
        text, columns = decode_utf8(first_line, 1), self._source.columns
        if columns:
            header = require_mapped_header(text, columns.columns)
            return "csv", columns.layout, read_csv(source, header, self._limits)
        header = require_header(text, self._source.train_field)
        self._saw_train_field |= "train" in header.columns
        layout: Layout = "messages" if header.per_message else "alpaca"
        return "csv", layout, read_csv(source, header, self._limits)
