"""A model in a JSON column: written whole, read through the model, absent as NULL."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel
from sqlalchemy.dialects import sqlite

from app.core.documents import DocumentColumn


class Note(BaseModel):
    text: str
    version: int = 2

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Self:
        """The first version called it `words`."""
        return cls(text=document.get("text") or document["words"])

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


def test_what_is_written_is_read_by_the_model_itself() -> None:
    column, dialect = DocumentColumn(Note), sqlite.dialect()
    assert column.process_bind_param(Note(text="a"), dialect) == {"text": "a", "version": 2}
    assert column.process_result_value({"words": "old"}, dialect) == Note(text="old")


def test_nothing_is_null_and_not_the_json_word() -> None:
    column, dialect = DocumentColumn(Note), sqlite.dialect()
    assert column.process_bind_param(None, dialect) is None
    assert column.process_result_value(None, dialect) is None
    assert column.impl.none_as_null
