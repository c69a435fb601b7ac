"""What can be wrong with a file, a record or a message: one code and one English sentence each.

Sentences are templates with named parameters; whoever shows them translates the template first and fills
it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from app.dialogue.refusals import DialogueRefused


def N_(message: str) -> str:
    """Mark a sentence for the translators' catalogue."""
    return message


@dataclass(frozen=True)
class Trouble:
    """A kind of problem or note: a stable code for machines, a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True)
class _Remark:
    line: int
    code: str
    message: str
    params: dict[str, Any] = field(default_factory=dict)
    record: int = 0

    @classmethod
    def of(cls, trouble: Trouble, line: int = 0, **params: Any) -> Self:
        return cls(line, trouble.code, trouble.message, {"line": line, **params})

    def sentence(self, translate: Callable[[str], str] = str) -> str:
        return translate(self.message) % self.params


@dataclass(frozen=True)
class LineProblem(_Remark):
    """Why a record was not taken in.

    `line` is where the fault is or the record starts, 0 means the file as a whole; `record` counts the
    conversations of the file from 1, and tells them apart where a JSON list stands on a single line.
    """


@dataclass(frozen=True)
class LineNote(_Remark):
    """Something to know about a conversation that was taken in."""


class RecordRefused(Exception):
    """Internal signal of this package: the record (or, at line 0, the file) cannot be read."""

    def __init__(self, trouble: Trouble, line: int = 0, **params: Any) -> None:
        super().__init__(trouble.code)
        self.trouble = trouble
        self.line = line
        self.params = params

    def as_problem(self) -> LineProblem:
        return LineProblem.of(self.trouble, self.line, **self.params)


def from_dialogue(refused: DialogueRefused, line: int) -> RecordRefused:
    """A conversation of this file that the reader of all conversations refuses: its own code and sentence."""
    return RecordRefused(Trouble(refused.code, refused.template), line, **refused.values)


class InterchangeRefused(Exception):
    """What a person asked for cannot be done with this file or version; the sentence says why."""

    def __init__(self, trouble: Trouble, **params: Any) -> None:
        super().__init__(trouble.message % params if params else trouble.message)
        self.code = trouble.code
        self.message = trouble.message
        self.params = params


class SourceRefused(InterchangeRefused):
    """What was said about the source (its dataset_info.json, its flags) cannot be applied to the file."""


class ExportRefused(InterchangeRefused):
    """The conversations cannot be written in this format as asked."""


def shown(value: object, length: int = 40) -> str:
    """A short printable form of what stood in the file, safe in a sentence and on a terminal."""
    text = value if isinstance(value, str) else repr(value)
    kept = text[: length + 1]
    kept = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in kept)
    return kept if len(kept) <= length else kept[: length - 1] + "…"
