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


def _column(meaning: str) -> Any:
    return made(default="", metadata={"description": meaning, "max_length": 200})


@dataclass(frozen=True)
class DialogueMapping:
    """How the records of a file become dialogues. Fields are named by their column or key; those inside of others with
    points (`data.turns`). Empty where nothing is meant.

    The metadata of a field are its meaning and its limits, for the document that REST and files have.
    """

    turns: Turns = made(
        metadata={
            "description": "What a record is: one turn (rows), a dialogue with a list of turns (list), a question with its "
            "answer (pairs), a dialogue written in one text (text)."
        }
    )
    conversation: str = _column("rows: tells the dialogues apart; empty: all rows are one.")
    order: str = _column("rows: sorts the turns of a dialogue; empty: as they stand.")
    field: str = _column("list, text: what holds the turns.")
    side: str = _column("rows, list: what tells who speaks.")
    text: str = _column("rows, list: what holds the words.")
    question: str = _column("pairs: the words of the customer.")
    answer: str = _column("pairs: the words of sales.")
    system: str = _column("pairs, list: the system prompt, if any.")
    id: str = _column("pairs: names the row, for `parent`.")
    parent: str = _column("pairs: the id of the row before this one.")
    sides: dict[str, Side] = made(
        default_factory=dict,
        metadata={"description": "Whose side a value of `side` is.", "max_length": 1_000},
    )
    others: Others = made(
        default="refuse", metadata={"description": "What becomes of values that `sides` does not name."}
    )
    merge: bool = made(
        default=False, metadata={"description": "Join turns of one side that follow each other."}
    )
    only_column: str = _column("Records are read only where this …")
    only_values: tuple[str, ...] = made(
        default=(), metadata={"description": "… has one of these values.", "max_length": 100}
    )
    labels: dict[str, str] = made(
        default_factory=dict,
        metadata={"description": "Columns that hold labels: outcome, stage, objection, product …"},
    )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without what is not said."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}
        return {
            name: value for name, value in plain.items() if value and (name, value) != ("others", "refuse")
        }

    @property
    def paths(self) -> tuple[str, ...]:
        """The fields of a record that are read."""
        names = (
            self.conversation, self.order, self.field, self.question, self.answer, self.system, self.id,
            self.parent, self.only_column, *self.labels.values(),
        )  # fmt: skip
        inner = (self.side, self.text) if self.turns == "rows" else ()
        return tuple(name for name in (*names, *inner) if name)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read: the fields, and what they stand in."""
        return _with_what_holds(self.paths)

    def is_wanted(self, record: Any) -> bool:
        """Whether the filter lets a record in, whose every other field is nobody's concern else."""
        return not self.only_column or as_text(value_at(record, self.only_column)) in self.only_values

    def side_of(self, value: str) -> Side | Literal["refuse"]:
        """Whose side a value of `side` is; `refuse` where nobody placed it."""
        return self.sides.get(value.strip()) or self.others

    def needs(self, record: Any) -> tuple[str, ...]:
        """The columns without whose value this record cannot be read: of one that is left out only what tells that."""
        if not self.is_wanted(record):
            return _with_what_holds((self.only_column,))
        if self.turns == "rows" and self.side_of(as_text(value_at(record, self.side))) == "left_out":
            return _with_what_holds(tuple(name for name in self.paths if name != self.text))
        return self.columns


def _with_what_holds(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.split(".")[0] for name in paths) + paths


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
