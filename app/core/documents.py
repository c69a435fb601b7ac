"""Columns whose JSON is a pydantic model in Python: written whole, read through the model's own `stored`."""

from collections.abc import Mapping
from typing import Any, Generic, Protocol, Self, TypeVar

from sqlalchemy import JSON, Dialect
from sqlalchemy.types import TypeDecorator


class StoredDocument(Protocol):
    """A model that knows how it is stored, and reads what its earlier versions stored."""

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Self:
        """From JSON, of this or an earlier version."""
        ...

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        ...


DocumentT = TypeVar("DocumentT", bound=StoredDocument)


class DocumentColumn(TypeDecorator[DocumentT], Generic[DocumentT]):
    """JSON in the database, `model` in Python."""

    impl = JSON
    cache_ok = True

    def __init__(self, model: type[DocumentT]) -> None:
        super().__init__(none_as_null=True)
        self.model = model

    def process_bind_param(self, value: DocumentT | None, dialect: Dialect) -> dict[str, Any] | None:
        return None if value is None else value.to_json()

    def process_result_value(self, value: dict[str, Any] | None, dialect: Dialect) -> DocumentT | None:
        return None if value is None else self.model.stored(value)
