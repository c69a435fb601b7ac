"""What REST reads and writes for datasets."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.conversations.models import ReviewState
from app.core.i18n import say
from app.datasets.models import Dataset, DatasetImport, DatasetVersion
from app.datasets.service import DatasetCounts
from app.sentences import Sentence


class DatasetIn(BaseModel):
    """A new dataset."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80)
    description: str = Field(default="", max_length=2000)


class DatasetEdit(BaseModel):
    """A new name, a new description, or both; what is absent stays."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=80)
    description: str | None = Field(default=None, max_length=2000)


class DatasetOut(BaseModel):
    """A dataset with its counts. An archived one is read-only."""

    id: int
    name: str
    description: str
    created_by: str
    created_at: datetime
    archived_at: datetime | None
    draft: int
    approved: int
    rejected: int

    @classmethod
    def of(cls, dataset: Dataset, counts: DatasetCounts) -> "DatasetOut":
        """From the stored row and its counts."""
        assert dataset.id is not None
        return cls(
            id=dataset.id,
            name=dataset.name,
            description=dataset.description,
            created_by=dataset.created_by,
            created_at=dataset.created_at,
            archived_at=dataset.archived_at,
            draft=counts.draft,
            approved=counts.approved,
            rejected=counts.rejected,
        )


class ImportRemarkOut(BaseModel):
    """Why one line did not come in, or what came in otherwise than it stood there."""

    line: int
    code: str
    message: str

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "ImportRemarkOut":
        """From the stored remark, in the reader's language."""
        return cls(
            line=stored["line"],
            code=stored["code"],
            message=say(Sentence.stored_in(stored)),
        )


class ImportOut(BaseModel):
    """The report of an import. Counts are exact; problems and notes are the first 200 of each.

    `id` and `dataset_id` are null when the file brought nothing, so that no dataset was made for it.
    """

    id: int | None
    dataset_id: int | None
    filename: str
    format: str
    accepted: int
    duplicates: int
    problem_count: int
    problems: list[ImportRemarkOut]
    note_count: int
    notes: list[ImportRemarkOut]

    @classmethod
    def of(cls, found: DatasetImport) -> "ImportOut":
        """From the report, in the reader's language."""
        return cls(
            id=found.id,
            dataset_id=found.dataset_id if found.id is not None else None,
            filename=found.filename,
            format=found.format,
            accepted=found.accepted,
            duplicates=found.duplicates,
            problem_count=found.problem_count,
            problems=[ImportRemarkOut.of(item) for item in found.problems],
            note_count=found.note_count,
            notes=[ImportRemarkOut.of(item) for item in found.notes],
        )


class VersionOut(BaseModel):
    """A frozen version."""

    id: int
    dataset_id: int
    number: int
    content_hash: str
    train_count: int
    validation_count: int
    coverage: dict[str, Any]
    created_by: str
    created_at: datetime

    @classmethod
    def of(cls, version: DatasetVersion) -> "VersionOut":
        """From the stored row."""
        return cls.model_validate({name: getattr(version, name) for name in cls.model_fields})


class ReviewManyIn(BaseModel):
    """Review several conversations: the named ones, or every draft of the dataset."""

    model_config = ConfigDict(extra="forbid")

    state: ReviewState
    conversation_ids: list[int] | None = None
    reason: str | None = Field(default=None, max_length=2000)


class ReviewManyOut(BaseModel):
    """How many changed, and which did not."""

    changed: int
    refused: list[dict[str, Any]]
