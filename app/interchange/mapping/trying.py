"""A file looked at and a mapping tried on it, before anything is stored: of its beginning only."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO, Final

from app.dialogue.conversation import Conversation
from app.interchange.files.encodings import Encoding
from app.interchange.files.json_records import Record
from app.interchange.files.limits import ImportLimits
from app.interchange.files.opening import Opening, raw_records
from app.interchange.mapping.chat_log import read_chat
from app.interchange.mapping.model import DialogueMapping, as_text, value_at
from app.interchange.mapping.sample import LOOKED_AT, Sample, look_at
from app.interchange.reading import Source, files_in, read_conversations
from app.interchange.sentences import files as say
from app.interchange.sentences.problems import LineNote, LineProblem, RecordRefused

DIALOGUES: Final = 3
_REMARKS: Final = 5
_NAMES: Final = 60
# No column has this name; the frame of a table is then looked for wherever a file might be one.
_ANY: Final = ("\0",)


@dataclass(frozen=True)
class Trial:
    """What a mapping makes of the beginning of a file: the first dialogues, how many there are, what is in the way."""

    dialogues: tuple[Conversation, ...]
    count: int
    problems: tuple[LineProblem, ...]
    problem_count: int
    notes: tuple[LineNote, ...]


def look_into(
    stream: BinaryIO, filename: str, *, encoding: Encoding = "auto", limits: ImportLimits | None = None
) -> Sample:
    """What the first file of the upload holds, whatever its layout. Raises RecordRefused."""
    with closing(_records(stream, filename, encoding, limits or ImportLimits())) as records:
        return look_at(records)


def names_in(
    stream: BinaryIO,
    filename: str,
    field: str,
    *,
    encoding: Encoding = "auto",
    limits: ImportLimits | None = None,
) -> tuple[str, ...]:
    """Who speaks in dialogues that are written in one text. Raises RecordRefused."""
    found: dict[str, None] = {}
    with closing(_records(stream, filename, encoding, limits or ImportLimits())) as records:
        for record, _ in zip(records, range(LOOKED_AT), strict=False):
            if isinstance(record, Record) and len(found) < _NAMES:
                text = as_text(value_at(record.value, field))
                found.update(dict.fromkeys(said.name for said in read_chat(enumerate(text.split("\n")))))
    return tuple(found)


def try_mapping(
    stream: BinaryIO,
    filename: str,
    mapping: DialogueMapping,
    *,
    encoding: Encoding = "auto",
    limits: ImportLimits | None = None,
) -> Trial:
    """The mapping on the first LOOKED_AT records. Nothing is raised for what stands in the file."""
    dialogues: list[Conversation] = []
    problems: list[LineProblem] = []
    notes: list[LineNote] = []
    count = 0
    source = Source(encoding=encoding, mapping=mapping, first=LOOKED_AT)
    for item in read_conversations(stream, filename=filename, limits=limits, source=source):
        if isinstance(item, LineProblem):
            problems.append(item)
        elif isinstance(item, LineNote):
            notes.append(item)
        else:
            count += 1
            if len(dialogues) < DIALOGUES:
                dialogues.append(item.conversation)
                notes.extend(item.notes)
    return Trial(tuple(dialogues), count, tuple(problems[:_REMARKS]), len(problems), tuple(notes[:_REMARKS]))


def _records(
    stream: BinaryIO, filename: str, encoding: Encoding, limits: ImportLimits
) -> Generator[Record | LineProblem]:
    for file in files_in(stream, filename, limits):
        if not isinstance(file, LineNote):
            opening = Opening(file.name, limits, "auto", encoding, _ANY)
            yield from raw_records(opening.open(file.stream))
            return
    raise RecordRefused(say.NO_RECORDS)
