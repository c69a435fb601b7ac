"""The table of mask checks. A check's state is that of its job."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.core.database import moment_column, utc_now


class MaskCheck(SQLModel, table=True):
    """The loss masks of a whole dataset version for one base model and settings, checked and stored.

    Unique by version × model × settings, so asking twice finds the same check.
    """

    __tablename__ = "mask_check"
    __table_args__ = (UniqueConstraint("dataset_version_id", "base_model_id", "settings_key"),)

    id: int | None = Field(default=None, primary_key=True)
    dataset_version_id: int = Field(foreign_key="dataset_version.id", index=True, ondelete="CASCADE")
    base_model_id: int = Field(foreign_key="base_model.id", index=True)
    # MaskSettings as JSON, and the sha256 of its canonical form.
    settings: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    settings_key: str = Field(max_length=64)
    job_id: int = Field(foreign_key="job.id")
    # None until checked; True is green.
    passed: bool | None = None
    report: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    arrays_key: str | None = Field(default=None, max_length=255)
    arrays_hash: str | None = Field(default=None, max_length=64)
    created_by: str = Field(default="", max_length=80)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
