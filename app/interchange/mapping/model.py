"""A mapping: which columns or fields of a file hold the turns, and whose words they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.dialogue.labels import LABELS
from app.sentences import N_

Turns = Literal["rows", "list", "pairs", "text"]
Side = Literal["user", "assistant", "system", "left_out"]
Others = Literal["refuse", "user", "assistant", "left_out"]
NAME_CHARACTERS: Final = 80
_PATH: Final = Field(default="", max_length=200)
_SIDES: Final = 1_000
# What each kind cannot do without.
REQUIRED: Final[dict[Turns, tuple[str, ...]]] = {
    "rows": ("side", "text"),
    "list": ("field", "side", "text"),
    "pairs": ("question", "answer"),
    "text": ("field",),
}


class DialogueMapping(BaseModel):
    """How the records of a file become dialogues.

    `turns` says what a record is: "rows" one turn, "list" a dialogue whose turns are a list in one of its fields, "pairs" a
    question with its answer, "text" a dialogue written in one text. Fields are named by their column or key; those inside
    of others with points (`data.turns`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = Field(default=1, description="Of this document.")
    turns: Turns = Field(description="What one record is.")
    conversation: str = Field(
        default="", max_length=200, description="rows: tells the dialogues apart; empty: all rows are one."
    )
    order: str = Field(
        default="", max_length=200, description="rows: sorts the turns of a dialogue; empty: as they stand."
    )
    field: str = Field(default="", max_length=200, description="list, text: what holds the turns.")
    side: str = Field(default="", max_length=200, description="rows, list: what tells who speaks.")
    text: str = Field(default="", max_length=200, description="rows, list: what holds the words.")
    question: str = Field(default="", max_length=200, description="pairs: the customer's words.")
    answer: str = Field(default="", max_length=200, description="pairs: the words of sales.")
    system: str = Field(default="", max_length=200, description="pairs, list: the system prompt, if any.")
    id: str = Field(default="", max_length=200, description="pairs: names the row, for `parent`.")
    parent: str = Field(default="", max_length=200, description="pairs: the id of the row before this one.")
    sides: dict[str, Side] = Field(
        default_factory=dict, max_length=_SIDES, description="Whose side a value of `side` is."
    )
    others: Others = Field(default="refuse", description="What becomes of values that `sides` does not name.")
    merge: bool = Field(default=False, description="Join turns of one side that follow each other.")
    only_column: str = Field(default="", max_length=200, description="Records are read only where this …")
    only_values: tuple[str, ...] = Field(default=(), max_length=100, description="… has one of these values.")
    labels: dict[str, str] = Field(
        default_factory=dict, description="Columns that hold labels: outcome, stage, objection, product …"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name in REQUIRED[self.turns]:
            if not getattr(self, name):
                raise PydanticCustomError(
                    "incomplete", N_("Choose the column of “%(name)s”."), {"name": name}
                )
        if bool(self.id) != bool(self.parent):
            missing = "parent" if self.id else "id"
            raise PydanticCustomError("incomplete", N_("Choose the column of “%(name)s”."), {"name": missing})
        for label in self.labels:
            if label not in LABELS:
                raise PydanticCustomError("label", N_("There is no label “%(name)s”."), {"name": label})
        return self

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Self:
        """From JSON."""
        return cls.model_validate(dict(document))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without what is not said."""
        found: dict[str, Any] = self.model_dump(mode="json", exclude_defaults=True)
        return {"version": self.version, **found}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        names = (
            self.conversation, self.order, self.field, self.question, self.answer, self.system, self.id,
            self.parent, self.only_column, *self.labels.values(),
        )  # fmt: skip
        inner = (self.side, self.text) if self.turns == "rows" else ()
        return tuple(name.split(".")[0] for name in (*names, *inner) if name) + tuple(
            name for name in (*names, *inner) if name
        )


def value_at(record: Any, path: str) -> Any:
    """What stands under a name, or under names with points between; None where there is nothing."""
    if not isinstance(record, Mapping):
        return None
    if path in record:
        return record[path]
    for place in _points(path):
        if path[:place] in record:
            return value_at(record[path[:place]], path[place + 1 :])
    return None


def _points(path: str) -> Iterator[int]:
    return (place for place, character in enumerate(path) if character == ".")


def as_text(value: Any) -> str:
    """A value of a column as text: numbers and truth as JSON writes them, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)
