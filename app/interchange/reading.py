"""A file of dialogues in, conversations and problems out, one at a time and in bounded memory.

Nothing is raised for bad content: whatever the bytes are, the answer is a sentence with a line number.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import BinaryIO, Literal, TypeVar, get_args

from app.dialogue.conversation import Conversation
from app.dialogue.trained import SourceMask, apply_source_mask, with_shortest_flags
from app.interchange.files.archives import ZIP_MARK, ArchiveRefused, Unpacked, is_archive, unpack
from app.interchange.files.csv_columns import get_header, require_header, require_mapped_header
from app.interchange.files.csv_records import read_table
from app.interchange.files.encodings import Encoding, seekable
from app.interchange.files.json_records import Record
from app.interchange.files.limits import ImportLimits
from app.interchange.files.opening import Beginning, Frame, Opening, Records, nothing_needed, raw_records
from app.interchange.files.sheets import is_workbook
from app.interchange.files.tables import Table
from app.interchange.mapping.dialogues import MappedRecord, map_records
from app.interchange.mapping.model import DialogueMapping
from app.interchange.mapping.suggesting import SUGGESTED_FROM, is_chained, suggest
from app.interchange.mapping.unread import Unread
from app.interchange.records.column_map import ColumnMap
from app.interchange.records.layouts import Layout, LayoutReader, as_object, get_layout
from app.interchange.records.message_reading import Reading
from app.interchange.sentences import files as say
from app.interchange.sentences import mapping as say_of_mapping
from app.interchange.sentences import sources as say_of_source
from app.interchange.sentences.problems import LineNote, LineProblem, RecordRefused, SourceRefused, shown

Format = Literal["auto", "messages", "sharegpt", "alpaca", "csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
_Found = TypeVar("_Found")
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
    mapping: DialogueMapping | None = None
    first: int | None = (
        None  # for a trial: so many records of the first file are read by the mapping, and no more
    )


Item = ParsedConversation | LineProblem | LineNote


def read_conversations(
    stream: BinaryIO,
    *,
    filename: str | None = None,
    format: Format = "auto",
    limits: ImportLimits | None = None,
    source: Source | None = None,
    reached: Callable[[float], None] | None = None,
) -> Iterator[Item]:
    """Every record of the file as exactly one conversation or problem, in the order of the file.

    Problems with line 0 concern the whole file and end it; notes that stand alone concern the file too: the encoding
    that was recognised, what of an archive was not read. `filename` only breaks ties where the content does not tell
    the format. `reached` is told with each record how much of what was sent is read by then, from 0 to 1. Raises
    ValueError for an unknown `format`, SourceRefused where `source` says something else than `format`, and what
    `stream.read` raises.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format {format!r}; known: {', '.join(FORMATS)}")
    source = source or Source()
    require_one_format(source, format)
    return _Reader(filename or "", format, limits or ImportLimits(), source, reached).read(stream)


def require_one_format(source: Source, format: Format) -> None:
    """Raises SourceRefused where dataset_info.json, the mapping and the chosen format say different things."""
    if source.mapping and (source.columns or format in _LAYOUTS):
        raise SourceRefused(say_of_source.MAPPING_CONFLICT)
    if source.columns and format in _LAYOUTS and format != source.columns.layout:
        raise SourceRefused(say_of_source.FORMAT_CONFLICT, expected=source.columns.layout, chosen=format)


def files_in(
    stream: BinaryIO, filename: str, limits: ImportLimits, *, whole: bool = True
) -> Iterator[Unpacked | LineNote]:
    """The file itself, or those of an archive one after the other; see unpack(). Raises RecordRefused."""
    readable = seekable(stream, limits)
    head = readable.read(4)
    readable.seek(0)
    if is_archive(head) and not (head.startswith(ZIP_MARK) and is_workbook(readable, limits)):
        yield from unpack(readable, filename, limits, whole=whole)
    else:
        yield Unpacked(filename, readable)


@dataclass(frozen=True)
class _Opened:
    """The records of one file, its format's name if the frame alone tells it, their layout if it is known, and what a
    mapping leaves of them."""

    records: Iterator[Record | LineProblem]
    name: str | None = None
    layout: Layout | None = None
    notes: tuple[LineNote, ...] = ()
    unread: Unread | None = None


class _Reader:
    """Reads one file, or those of an archive one after the other."""

    def __init__(
        self,
        filename: str,
        format: Format,
        limits: ImportLimits,
        source: Source,
        reached: Callable[[float], None] | None,
    ) -> None:
        self._filename = filename
        self._format = format
        self._limits = limits
        self._source = source
        self._reached = reached
        self._count = 0
        self._refused = False  # a file of an archive as a whole
        self._saw_train_field = source.train_field is None

    def read(self, stream: BinaryIO) -> Iterator[Item]:
        """The items of read_conversations()."""
        try:
            for found in files_in(stream, self._filename, self._limits, whole=not self._is_trial):
                if isinstance(found, LineNote):
                    yield found
                    continue
                yield from self._read_member(found)
                if self._is_trial:
                    return
            if self._count == 0 and not self._refused:
                yield LineProblem.of(say.NO_RECORDS)
            if self._count and not self._saw_train_field:
                field = shown(self._source.train_field or "", 80)
                yield LineProblem.of(say_of_source.TRAIN_FIELD_ABSENT, field=field)
        except RecordRefused as refusal:
            yield refusal.as_problem()

    def _read_member(self, file: Unpacked) -> Iterator[Item]:
        member = shown(file.name, 120) if file.is_one_of_many else ""
        try:
            for item in self._read_file(file):
                yield replace(item, member=member)
        except ArchiveRefused:
            raise
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
        own = record.notes if isinstance(record, MappedRecord) else ()
        notes = tuple(replace(note, record=count) for note in (*own, *reading.notes))
        return ParsedConversation(record.line, conversation, notes, name or str(reader.layout), count)

    def _masked(self, conversation: Conversation, reading: Reading) -> Conversation:
        masked = apply_source_mask(conversation, self._source.mask)
        has_flags = any("train" in message for message in conversation["messages"])
        if has_flags and with_shortest_flags(conversation) != masked:
            reading.note(say_of_source.FLAGS_REPLACED)
        return masked

    @property
    def _is_trial(self) -> bool:
        return self._source.first is not None

    def _open(self, opening: Opening, file: Unpacked) -> Records | Table:
        """Its content, which tells how far its reading is by the place in what the file unpacked to."""
        if (reached := self._reached) is None:
            return opening.open(file.stream)
        size = file.stream.seek(0, io.SEEK_END) or 1
        file.stream.seek(0)

        def tell() -> None:
            reached(min(1.0, file.begins + (file.ends - file.begins) * file.stream.tell() / size))

        content = opening.open(file.stream)
        if isinstance(content, Records):
            return replace(content, records=_telling(content.records, tell))
        return replace(content, rows=_telling(content.rows, tell))

    def _read_file(self, file: Unpacked) -> Iterator[Item]:
        columns, mapping = self._source.columns, self._source.mapping
        layout = columns.layout if columns else _LAYOUTS.get(self._format)
        wanted = tuple(columns.columns.values()) if columns else mapping.columns if mapping else ()
        frame = _FRAMES.get(self._format, "json" if layout and not columns else "auto")
        beginning = Beginning() if self._is_trial else None
        opening = Opening(file.name, self._limits, frame, self._source.encoding, wanted, beginning)
        content = self._open(opening, file)
        yield from opening.notes
        opened = self._opened(content, layout)
        yield from opened.notes
        reader = LayoutReader(opened.layout)
        for record in opened.records:
            self._count += 1
            if self._count > self._limits.conversations:
                raise RecordRefused(say.TOO_MANY_RECORDS, limit=self._limits.conversations)
            if isinstance(record, LineProblem):
                yield replace(record, record=self._count)
            else:
                yield self._parse(record, self._count, reader, opened.name)
        if opened.unread and (note := opened.unread.note()):
            yield note

    def _opened(self, content: Records | Table, layout: Layout | None) -> _Opened:
        columns, mapping = self._source.columns, self._source.mapping
        if mapping:
            return self._mapped(raw_records(content, mapping.needs), content.kind, mapping)
        if isinstance(content, Records):
            name = None if content.kind == "json" else content.kind
            content = replace(content, records=map(_as_object, content.records))
            if layout:
                return _Opened(content.records, name, layout)
            refusal = RecordRefused(say_of_mapping.CHAT) if content.kind == "chat" else None
            return self._recognised(content, name, refusal)
        if columns:
            header = require_mapped_header(content.titles, columns.columns)
            return _Opened(read_table(content, header, self._limits), content.kind, columns.layout)
        known = get_header(content.titles)
        if known is None or (known.layout == "alpaca" and is_chained(content.names())):
            refusal = RecordRefused(say.CSV_COLUMNS, 1, found=shown(", ".join(content.titles), 80))
            return self._recognised(content, content.kind, refusal)
        header = require_header(content.titles, self._source.train_field)
        self._saw_train_field |= "train" in header.columns
        return _Opened(read_table(content, header, self._limits), content.kind, header.layout)

    def _mapped(
        self, records: Iterator[Record | LineProblem], name: str, mapping: DialogueMapping, *notes: LineNote
    ) -> _Opened:
        unread = Unread(mapping)
        mapped = map_records(islice(records, self._source.first), mapping, self._limits, unread)
        return _Opened(mapped, name, "messages", notes, unread)

    def _recognised(
        self, content: Records | Table, name: str | None, refusal: RecordRefused | None = None
    ) -> _Opened:
        """Records of a known layout as they are; of an unknown one by the mapping that they suggest, if it is certain.
        Raises `refusal` where it is not; without one the layout's reader says what is wrong."""
        first, content = _peek(content, SUGGESTED_FROM)
        values = [record.value for record in first if isinstance(record, Record)]
        layout = get_layout(values[0]) if values and isinstance(values[0], Mapping) else None
        # Questions and answers that name the row before them are no dialogues one by one.
        is_known = layout is not None and not (layout == "alpaca" and is_chained(values[0]))
        suggestion = None if is_known else suggest(values)
        if suggestion is not None and suggestion.certain:
            note = LineNote.of(say_of_mapping.RECOGNISED, layout=shown(suggestion.spoken, 120))
            records = raw_records(content, suggestion.mapping.needs)
            return self._mapped(records, name or "messages", suggestion.mapping, note)
        if refusal is not None:
            raise refusal
        if values and not any(isinstance(value, Mapping) and get_layout(value) for value in values):
            # Saying it once is enough: it is a property of the file.
            return _Opened(iter(first[:1]), name)
        return _Opened(raw_records(content), name)


def _telling(found: Iterator[_Found], tell: Callable[[], None]) -> Iterator[_Found]:
    for one in found:
        tell()
        yield one


def _as_object(found: Record | LineProblem) -> Record | LineProblem:
    return replace(found, value=as_object(found.value)) if isinstance(found, Record) else found


def _peek(content: Records | Table, count: int) -> tuple[list[Record | LineProblem], Records | Table]:
    """The first records, whatever is needed of them, and all of the content again."""
    if isinstance(content, Records):
        first = list(islice(content.records, count))
        return first, replace(content, records=chain(first, content.records))
    rows = list(islice(content.rows, count))
    named = list(raw_records(replace(content, rows=iter(rows)), nothing_needed))
    return named, replace(content, rows=chain(rows, content.rows))
