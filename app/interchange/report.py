"""What an import brought, added up while it runs: counts are exact, lists keep the first entries only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeGuard

from app.dialogue.hashes import words_hash
from app.interchange.reading import Item, ParsedConversation
from app.interchange.seen import SeenBefore
from app.interchange.sentences.problems import LineNote, LineProblem

KEPT = 200


@dataclass(frozen=True)
class Duplicate:
    """Where a conversation stands, and where the one with the same words stood before it."""

    line: int
    record: int
    first_line: int
    first_record: int


@dataclass
class ImportReport:
    """read = accepted + duplicates + problem_count, leaving aside problems of the file as a whole."""

    filename: str | None = None
    format: str | None = None
    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    problem_count: int = 0
    note_count: int = 0
    problems: list[LineProblem] = field(default_factory=list)
    notes: list[LineNote] = field(default_factory=list)
    file_notes: list[LineNote] = field(default_factory=list)  # of the notes, those about the file as a whole
    duplicate_records: list[Duplicate] = field(default_factory=list)
    _seen: SeenBefore = field(default_factory=SeenBefore, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        return self.problem_count == 0

    def add(self, item: Item) -> TypeGuard[ParsedConversation]:
        """Count one item of read_conversations(). True for a conversation that is new in this file."""
        if isinstance(item, LineNote):
            self.note_count += 1
            self.file_notes.append(item)
            self.notes.append(item)
            return False
        if isinstance(item, LineProblem):
            self.read += item.record > 0
            self.problem_count += 1
            if len(self.problems) < KEPT:
                self.problems.append(item)
            return False
        self.read += 1
        self.format = self.format or item.format
        digest = bytes.fromhex(words_hash(item.conversation))
        first = self._seen.first(digest, item.line, item.record)
        if first is not None:
            self.duplicates += 1
            if len(self.duplicate_records) < KEPT:
                self.duplicate_records.append(Duplicate(item.line, item.record, *first))
            return False
        self.accepted += 1
        self.note_count += len(item.notes)
        self.notes.extend(item.notes[: max(0, KEPT - len(self.notes))])
        return True

    def as_dict(self, translate: Callable[[str], str] = str) -> dict[str, Any]:
        """Plain JSON for REST and the command line; `translate` maps an English template to its
        translation."""
        return {
            "filename": self.filename,
            "format": self.format,
            "read": self.read,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "duplicate_records": [asdict(duplicate) for duplicate in self.duplicate_records],
            "problem_count": self.problem_count,
            "problems": [_entry(problem, translate) for problem in self.problems],
            "note_count": self.note_count,
            "notes": [_entry(note, translate) for note in self.notes],
        }


def _entry(remark: LineProblem | LineNote, translate: Callable[[str], str]) -> dict[str, Any]:
    return {
        "line": remark.line,
        "record": remark.record,
        "member": remark.member,
        "code": remark.code,
        "message": remark.said(translate),
    }
