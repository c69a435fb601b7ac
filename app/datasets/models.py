"""Tables of datasets, and of the changes that concern one as a whole."""

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypedDict

from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel

from app.accounts.models import Role
from app.accounts.who import CreatedBy
from app.core.database import enum_column, moment_column, utc_now


class Dataset(CreatedBy, table=True):
    """A named set of conversations that people curate together."""

    __tablename__ = "dataset"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=80, unique=True)
    description: str = ""
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    # Archived: read-only and out of the lists, until somebody restores it.
    archived_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    # Being made by an import, or erased: there for no reader.
    hidden: bool = Field(default=False, index=True)


class OperationKind(StrEnum):
    """What is done to many conversations at once."""

    IMPORT = "import"
    REVIEW = "review"
    DELETE = "delete"


class OperationState(StrEnum):
    """Whether an operation is under way."""

    RUNNING = "running"
    DONE = "done"


class OperationDetails(TypedDict, total=False):
    """What somebody else needs to go on with an operation: of a review, what becomes of which conversations and why; of
    an import that a job brings in, the job's id.
    """

    state: str | None
    reason: str | None
    ids: list[int]
    job: int


# Pydantic, which makes the tables' classes, reads typed dictionaries of the standard library from Python 3.12 on only.
if TYPE_CHECKING:
    _Details = OperationDetails
else:
    _Details = dict[str, Any]


class DatasetOperation(SQLModel, table=True):
    """A change of many conversations, written in short pieces; see `operations.py`.

    The row of an import stays: its conversations name it in `staged_by` and are there because it is done.
    """

    __tablename__ = "dataset_operation"
    __table_args__ = (Index("ix_dataset_operation_state_kind", "state", "kind"),)

    id: int | None = Field(default=None, primary_key=True)
    dataset_id: int = Field(foreign_key="dataset.id", index=True, ondelete="CASCADE")
    kind: OperationKind = Field(sa_column=enum_column(OperationKind))
    state: OperationState = Field(default=OperationState.RUNNING, sa_column=enum_column(OperationState))
    # The secret of the process that works on it; whoever takes over writes another one.
    owner: str = Field(max_length=32)
    done: int = 0
    total: int
    details: _Details = Field(default_factory=OperationDetails, sa_column=Column(JSON, nullable=False))
    actor_id: int
    actor_token_id: int | None = None
    actor: str = Field(max_length=80)
    role: Role = Field(sa_column=enum_column(Role))
    started_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    beat_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
