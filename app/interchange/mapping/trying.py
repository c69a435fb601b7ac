"""A file looked at and a mapping tried on it, before anything is stored: of its beginning only."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import BinaryIO, Final

from app.dialogue.conversation import Conversation
from app.interchange.files.encodings import Encoding
from app.interchange.files.json_records import Record
from app.interchange.files.limits import ImportLimits
from app.interchange.files.opening import Beginning, Opening, nothing_needed, raw_records
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


@dataclass(frozen=True)
class Upload:
    """A file that was sent, and how it is opened. `stream` can be read twice; it is read from its beginning each time."""

    stream: BinaryIO
    filename: str
    encoding: Encoding = "auto"
    limits: ImportLimits = field(default_factory=ImportLimits)

    def sample(self) -> Sample:
        """What its first file holds, whatever its layout. Raises RecordRefused."""
        beginning = Beginning()
        with closing(self._records(beginning)) as records:
            sample = look_at(records)
        return replace(sample, is_whole=sample.is_whole and not beginning.left_out)

    def names(self, column: str) -> tuple[str, ...]:
        """Who speaks in dialogues that are written in one text. Raises RecordRefused."""
        found: dict[str, None] = {}
        with closing(self._records(Beginning())) as records:
            for record in islice(records, LOOKED_AT):
                if isinstance(record, Record) and len(found) < _NAMES:
                    text = as_text(value_at(record.value, column))
                    found.update(dict.fromkeys(said.name for said in read_chat(enumerate(text.split("\n")))))
        return tuple(found)

    def trial(self, mapping: DialogueMapping) -> Trial:
        """The mapping on the first LOOKED_AT records of its first file. Nothing is raised for what stands in it."""
        dialogues: list[Conversation] = []
        problems: list[LineProblem] = []
        notes: list[LineNote] = []
        of_the_file: list[LineNote] = []
        count = 0
        source = Source(encoding=self.encoding, mapping=mapping, first=LOOKED_AT)
        self.stream.seek(0)
        for item in read_conversations(
            self.stream, filename=self.filename, limits=self.limits, source=source
        ):
            if isinstance(item, LineProblem):
                problems.append(item)
            elif isinstance(item, LineNote):
                of_the_file.append(item)
            else:
                count += 1
                if len(dialogues) < DIALOGUES:
                    dialogues.append(item.conversation)
                    notes.extend(item.notes)
        shown_notes = tuple([*of_the_file, *notes][:_REMARKS])
        return Trial(tuple(dialogues), count, tuple(problems[:_REMARKS]), len(problems), shown_notes)

    def _records(self, beginning: Beginning) -> Generator[Record | LineProblem]:
        self.stream.seek(0)
        for file in files_in(self.stream, self.filename, self.limits, whole=False):
            if not isinstance(file, LineNote):
                opening = Opening(file.name, self.limits, "auto", self.encoding, _ANY, beginning)
                yield from raw_records(opening.open(file.stream), nothing_needed)
                return
        raise RecordRefused(say.NO_RECORDS)
