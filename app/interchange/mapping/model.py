"""A mapping: which columns or fields of a file hold the turns, and whose words they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from dataclasses import field as made
from typing import Any, Final, Literal

Turns = Literal["rows", "list", "pairs", "text"]
Side = Literal["user", "assistant", "system", "left_out"]
Others = Literal["refuse", "user", "assistant", "left_out"]
# What each kind cannot do without.
REQUIRED: Final[dict[Turns, tuple[str, ...]]] = {
    "rows": ("side", "text"),
    "list": ("field", "side", "text"),
    "pairs": ("question", "answer"),
    "text": ("field",),
}


@dataclass(frozen=True)
class DialogueMapping:
    """How the records of a file become dialogues.

    `turns` says what a record is: "rows" one turn, "list" a dialogue whose turns are a list in one of its fields, "pairs" a
    question with its answer, "text" a dialogue written in one text. Fields are named by their column or key; those inside
    of others with points (`data.turns`). Empty where nothing is meant.
    """

    turns: Turns
    conversation: str = ""  # rows: tells the dialogues apart; empty: all rows are one
    order: str = ""  # rows: sorts the turns of a dialogue; empty: as they stand
    field: str = ""  # list, text: what holds the turns
    side: str = ""  # rows, list: what tells who speaks
    text: str = ""  # rows, list: what holds the words
    question: str = ""  # pairs
    answer: str = ""
    system: str = ""  # pairs, list: the system prompt
    id: str = ""  # pairs: names the row, for `parent`
    parent: str = ""  # pairs: the id of the row before this one
    sides: Mapping[str, Side] = made(default_factory=dict)  # whose side a value of `side` is
    others: Others = "refuse"  # what becomes of values that `sides` does not name
    merge: bool = False  # join turns of one side that follow each other
    only_column: str = ""  # records are read only where this has one of these values
    only_values: tuple[str, ...] = ()
    labels: Mapping[str, str] = made(default_factory=dict)  # label -> column

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without what is not said."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}
        return {
            name: value for name, value in plain.items() if value and (name, value) != ("others", "refuse")
        }

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
