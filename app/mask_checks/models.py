"""The table of mask checks. A check's state is that of its job."""

from datetime import datetime

from sqlalchemy import Column, UniqueConstraint
from sqlmodel import Field

from app.accounts.who import CreatedBy
from app.core.database import moment_column, utc_now
from app.core.documents import DocumentColumn
from app.mask_checks.report import MaskReport
from app.mask_settings.fields import MaskSettingsIn


class MaskCheck(CreatedBy, table=True):
    """The loss masks of a whole dataset version for one base model and settings, checked and stored.

    Unique by version × model × settings, so asking twice finds the same check.
    """

    __tablename__ = "mask_check"
    __table_args__ = (UniqueConstraint("dataset_version_id", "base_model_id", "settings_key"),)

    id: int | None = Field(default=None, primary_key=True)
    dataset_version_id: int = Field(foreign_key="dataset_version.id", index=True, ondelete="CASCADE")
    base_model_id: int = Field(foreign_key="base_model.id", index=True)
    # And the sha256 of their canonical form.
    settings: MaskSettingsIn = Field(sa_column=Column(DocumentColumn(MaskSettingsIn), nullable=False))
    settings_key: str = Field(max_length=64)
    job_id: int = Field(foreign_key="job.id")
    # None until checked; True is green.
    passed: bool | None = None
    report: MaskReport | None = Field(
        default=None, sa_column=Column(DocumentColumn(MaskReport), nullable=True)
    )
    arrays_key: str | None = Field(default=None, max_length=255)
    arrays_hash: str | None = Field(default=None, max_length=64)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
