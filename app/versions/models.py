"""The table of frozen versions."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict

from sqlalchemy import JSON, Column, Text, UniqueConstraint
from sqlmodel import Field

from app.accounts.who import CreatedBy
from app.core.database import moment_column, utc_now

# The labels whose values are counted.
COVERAGE: Final = ("outcome", "stage", "objection", "language")
NAME_LIMIT: Final = 80


class Redaction(TypedDict):
    """When conversations were taken out of a version, by whom, and the hash it had before. The ids are of a person and of a
    token; rows from before they were kept have the name alone.
    """

    at: str
    by: str
    by_user_id: NotRequired[int | None]
    by_token_id: NotRequired[int | None]
    old_hash: str


# Pydantic, which makes the tables' classes, reads typed dictionaries of the standard library from Python 3.12 on only.
if TYPE_CHECKING:
    _Redaction = Redaction
else:
    _Redaction = dict[str, Any]


class DatasetVersion(CreatedBy, table=True):
    """The approved conversations of a dataset at one moment, frozen in a file. Only an erasure changes it."""

    __tablename__ = "dataset_version"
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)

    id: int | None = Field(default=None, primary_key=True)
    dataset_id: int = Field(foreign_key="dataset.id", index=True, ondelete="CASCADE")
    number: int
    # For people; both can be changed, since they are not part of what is frozen.
    name: str = Field(default="", max_length=NAME_LIMIT, sa_column_kwargs={"server_default": ""})
    note: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    # What was asked for when it was frozen: the share held out (None: the usual one), which conversations that takes, and
    # which of the approved ones are in it, {"outcome": "won", …}.
    validation_share: float | None = None
    seed: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    selection: dict[str, str | int] = Field(
        default_factory=dict, sa_column=Column(JSON, nullable=False, server_default="{}")
    )
    # sha256 of the frozen file; the same conversations give the same hash.
    content_hash: str = Field(max_length=64, index=True)
    storage_key: str = Field(max_length=255)
    train_count: int
    validation_count: int
    # Counts by outcome, stage, objection, language: {"outcome": {"won": 3, ...}, ...}
    coverage: dict[str, dict[str, int]] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    redactions: list[_Redaction] = Field(
        default_factory=list, sa_column=Column(JSON, nullable=False, server_default="[]")
    )
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())

    @property
    def conversation_count(self) -> int:
        """All conversations of the version."""
        return self.train_count + self.validation_count
