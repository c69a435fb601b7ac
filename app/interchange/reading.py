"""A file of dialogues in, conversations and problems out, one at a time and in bounded memory.

Nothing is raised for bad content: whatever the bytes are, the answer is a sentence with a line number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal, get_args

from app.dialogue.conversation import Conversation
from app.dialogue.trained import SourceMask, apply_source_mask, with_shortest_flags
from app.interchange.files.archives import is_archive, unpack
from app.interchange.files.csv_columns import require_header, require_mapped_header
from app.interchange.files.csv_records import read_table
from app.interchange.files.encodings import Encoding, seekable
from app.interchange.files.json_records import Record
from app.interchange.files.limits import ImportLimits
from app.interchange.files.opening import Frame, Opening, Records
from app.interchange.files.sheets import is_workbook
from app.interchange.files.tables import Table
from app.interchange.records.column_map import ColumnMap
from app.interchange.records.layouts import Layout, LayoutReader
from app.interchange.records.message_reading import Reading
from app.interchange.sentences import files as say
from app.interchange.sentences import sources as say_of_source
from app.interchange.sentences.problems import LineNote, LineProblem, RecordRefused, SourceRefused, shown

Format = Literal["auto", "messages", "sharegpt", "alpaca", "csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
_LAYOUTS: dict[str, Layout] = {"messages": "messages", "sharegpt": "sharegpt", "alpaca": "alpaca"}
_FRAMES: dict[Format, Frame] = {"csv": "csv", "parquet": "parquet"}


@dataclass(frozen=True)
class ParsedConversation:
    """A conversation in our canonical shape; `line` is where it starts (Parquet: the row number)."""

    line: int
    conversation: Conversation
    notes: tuple[LineNote, ...] = ()
    format: str = "messages"
    record: int = 0  # counts the conversations of the file from 1, refused ones too
    member: str = ""  # the file of an archive that holds several


@dataclass(frozen=True)
class Source:
    """What a person said of the tool that a file comes from: its columns, what it trained, the name of its
    train flag where that is none of the usual ones; and its encoding where that is not to be recognised."""

    columns: ColumnMap | None = None
    mask: SourceMask = "file"
    train_field: str | None = None
    encoding: Encoding = "auto"


Item = ParsedConversation | LineProblem | LineNote


def read_conversations(
    stream: BinaryIO,
    *,
    filename: str | None = None,
    format: Format = "auto",
    limits: ImportLimits | None = None,
    source: Source | None = None,
) -> Iterator[Item]:
    """Every record of the file as exactly one conversation or problem, in the order of the file.

    Problems with line 0 concern the whole file and end it; notes that stand alone concern the file too: the encoding
    that was recognised, what of an archive was not read. `filename` only breaks ties where the content does not tell
    the format. Raises ValueError for an unknown `format`, SourceRefused where `source` says something else than
    `format`, and what `stream.read` raises.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format {format!r}; known: {', '.join(FORMATS)}")
    source = source or Source()
    require_one_format(source, format)
    return _Reader(filename or "", format, limits or ImportLimits(), source).read(stream)


def require_one_format(source: Source, format: Format) -> None:
    """Raises SourceRefused where dataset_info.json and the chosen format say different things."""
    if source.columns and format in _LAYOUTS and format != source.columns.layout:
        raise SourceRefused(say_of_source.FORMAT_CONFLICT, expected=source.columns.layout, chosen=format)


@dataclass(frozen=True)
class _Opened:
    """The records of one file, its format's name if the frame alone tells it, and their layout if it is known."""

    records: Iterator[Record | LineProblem]
    name: str | None = None
    layout: Layout | None = None


class _Reader:
    """Reads one file, or those of an archive one after the other."""

    def __init__(self, filename: str, format: Format, limits: ImportLimits, source: Source) -> None:
        self._filename = filename
        self._format = format
        self._limits = limits
        self._source = source
        self._count = 0
        self._refused = False  # a file of an archive as a whole
        self._saw_train_field = source.train_field is None

    def read(self, stream: BinaryIO) -> Iterator[Item]:
        """The items of read_conversations()."""
        try:
            whole = seekable(stream, self._limits)
            head = whole.read(4)
            whole.seek(0)
            if is_archive(head) and not (head.startswith(b"PK") and is_workbook(whole, self._limits)):
                yield from self._read_archive(whole)
            else:
                yield from self._read_file(whole, self._filename)
            if self._count == 0 and not self._refused:
                yield LineProblem.of(say.NO_RECORDS)
            if self._count and not self._saw_train_field:
                field = shown(self._source.train_field or "", 80)
                yield LineProblem.of(say_of_source.TRAIN_FIELD_ABSENT, field=field)
        except RecordRefused as refusal:
            yield refusal.as_problem()

    def _read_archive(self, stream: BinaryIO) -> Iterator[Item]:
        for found in unpack(stream, self._filename, self._limits):
            if isinstance(found, LineNote):
                yield found
                continue
            member = shown(found.name, 120) if found.is_one_of_many else ""
            try:
                for item in self._read_file(found.stream, found.name):
                    yield replace(item, member=member)
            except RecordRefused as refusal:
                self._refused = True
                yield replace(refusal.as_problem(), member=member)

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

    def _read_file(self, stream: BinaryIO, filename: str) -> Iterator[Item]:
        columns = self._source.columns
        layout = columns.layout if columns else _LAYOUTS.get(self._format)
        opening = Opening(
            filename,
            self._limits,
            _FRAMES.get(self._format, "json" if layout and not columns else "auto"),
            self._source.encoding,
            tuple(columns.columns.values()) if columns else (),
        )
        content = opening.open(stream)
        yield from opening.notes
        opened = self._opened(content, layout)
        reader = LayoutReader(opened.layout)
        for record in opened.records:
            self._count += 1
            if self._count > self._limits.conversations:
                raise RecordRefused(say.TOO_MANY_RECORDS, limit=self._limits.conversations)
            if isinstance(record, LineProblem):
                yield replace(record, record=self._count)
            else:
                yield self._parse(record, self._count, reader, opened.name)

    def _opened(self, content: Records | Table, layout: Layout | None) -> _Opened:
        if isinstance(content, Records):
            return _Opened(content.records, "parquet" if content.kind == "parquet" else None, layout)
        columns = self._source.columns
        if columns:
            header = require_mapped_header(content.titles, columns.columns)
            return _Opened(read_table(content, header, self._limits), content.kind, columns.layout)
        header = require_header(content.titles, self._source.train_field)
        self._saw_train_field |= "train" in header.columns
        return _Opened(read_table(content, header, self._limits), content.kind, header.layout)
