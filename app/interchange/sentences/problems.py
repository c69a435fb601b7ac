"""What can be wrong with a file, a record or a message: one code and one English sentence each.

Sentences are templates with named parameters; whoever shows them translates the template first and fills
it afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

from app.dialogue.refusals import TEMPLATES, DialogueRefused
from app.sentences import N_, Sentence, SentenceError


@dataclass(frozen=True)
class Trouble:
    """A kind of problem or note: a stable code for machines, the template of its sentences for people."""

    code: str
    template: str


OF_LINE: Final = Trouble("of_line", N_("Line %(line)d: %(problem)s"))


@dataclass(frozen=True)
class _Remark:
    line: int
    code: str
    sentence: Sentence
    record: int = 0
    member: str = ""  # the file of an archive that holds several

    @classmethod
    def of(cls, trouble: Trouble, line: int = 0, **values: Any) -> Self:
        return cls(line, trouble.code, Sentence.of(trouble.template, **{"line": line, **values}))

    def said(self, translate: Callable[[str], str] = str) -> str:
        """The sentence by the translation of its template; English without one. It names its line."""
        return said_of_line(self.line, self.sentence, translate)


def said_of_line(line: int, sentence: Sentence, translate: Callable[[str], str] = str) -> str:
    """The sentence with its line, which it may say itself or know nothing of."""
    said = sentence.said(translate)
    if line and sentence.template in TEMPLATES:
        return Sentence.of(OF_LINE.template, line=line, problem=said).said(translate)
    return said


@dataclass(frozen=True)
class LineProblem(_Remark):
    """Why a record was not taken in.

    `line` is where the fault is or the record starts, 0 means the file as a whole; `record` counts the
    conversations of the file from 1, and tells them apart where a JSON list stands on a single line.
    """


@dataclass(frozen=True)
class LineNote(_Remark):
    """Something to know about a conversation that was taken in."""


class RecordRefused(SentenceError):
    """Internal signal of this package: the record (or, at line 0, the file) cannot be read."""

    def __init__(self, trouble: Trouble, line: int = 0, **values: Any) -> None:
        super().__init__(Sentence.of(trouble.template, **values), trouble.code)
        self.line = line

    def as_problem(self) -> LineProblem:
        return LineProblem(
            self.line, self.code, self.sentence.with_values(**{"line": self.line, **self.sentence.values})
        )


def from_dialogue(refused: DialogueRefused, line: int) -> RecordRefused:
    """A conversation of this file that the reader of all conversations refuses: its own code and sentence."""
    sentence = refused.sentence
    return RecordRefused(Trouble(refused.code, sentence.template), line, **sentence.values)


class InterchangeRefused(SentenceError):
    """What a person asked for cannot be done with this file or version; the sentence says why."""

    def __init__(self, trouble: Trouble, **values: Any) -> None:
        super().__init__(Sentence.of(trouble.template, **values), trouble.code)


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
