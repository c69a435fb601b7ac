"""Tables of datasets, imports and frozen versions."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.core.database import moment_column, utc_now


class Dataset(SQLModel, table=True):
    """A named set of conversations that people curate together."""

    __tablename__ = "dataset"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=80, unique=True)
    description: str = ""
    created_by: str = Field(default="", max_length=80)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    # Archived: read-only and out of the lists, until somebody restores it.
    archived_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))


class DatasetImport(SQLModel, table=True):
    """What one imported file brought in, and what it did not, by line."""

    __tablename__ = "dataset_import"

    id: int | None = Field(default=None, primary_key=True)
    dataset_id: int = Field(foreign_key="dataset.id", index=True, ondelete="CASCADE")
    filename: str = Field(max_length=255)
    format: str = Field(max_length=30)
    accepted: int = 0
    duplicates: int = 0
    problem_count: int = 0
    # The first problems: [{"line", "code", "message", "params"}]
    problems: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    # What came in a little different from the file, or without a part of it; kept as problems are.
    note_count: int = 0
    notes: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    created_by: str = Field(default="", max_length=80)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())


class DatasetVersion(SQLModel, table=True):
    """The approved conversations of a dataset at one moment, frozen in a file. Never changes."""

    __tablename__ = "dataset_version"
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    dataset_id: int = Field(foreign_key="dataset.id", index=True, ondelete="CASCADE")
    number: int
    # sha256 of the frozen file; the same conversations give the same hash.
    content_hash: str = Field(max_length=64, index=True)
    storage_key: str = Field(max_length=255)
    train_count: int
    validation_count: int
    # Counts by outcome, stage, objection, language: {"outcome": {"won": 3, ...}, ...}
    coverage: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    created_by: str = Field(default="", max_length=80)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())

    @property
    def conversation_count(self) -> int:
        """All conversations of the version."""
        return self.train_count + self.validation_count
