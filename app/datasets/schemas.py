"""What REST reads and writes for datasets."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.conversations.models import ReviewState
from app.core.i18n import translate
from app.datasets.models import Dataset, DatasetImport, DatasetVersion
from app.datasets.service import DatasetCounts


class DatasetIn(BaseModel):
    """A new dataset."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80)
    description: str = Field(default="", max_length=2000)


class DatasetOut(BaseModel):
    """A dataset with its counts."""

    id: int
    name: str
    description: str
    created_by: str
    created_at: datetime
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
            draft=counts.draft,
            approved=counts.approved,
            rejected=counts.rejected,
        )


class ImportProblemOut(BaseModel):
    """Why one line did not come in."""

    line: int
    code: str
    message: str


class ImportOut(BaseModel):
    """The report of an import."""

    id: int
    dataset_id: int
    filename: str
    format: str
    accepted: int
    duplicates: int
    problem_count: int
    problems: list[ImportProblemOut]

    @classmethod
    def of(cls, found: DatasetImport) -> "ImportOut":
        """From the stored report, in the reader's language."""
        assert found.id is not None
        return cls(
            id=found.id,
            dataset_id=found.dataset_id,
            filename=found.filename,
            format=found.format,
            accepted=found.accepted,
            duplicates=found.duplicates,
            problem_count=found.problem_count,
            problems=[
                ImportProblemOut(
                    line=item["line"], code=item["code"], message=translate(item["message"], item["params"])
                )
                for item in found.problems
            ],
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
