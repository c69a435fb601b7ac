"""The table of datasets."""

from datetime import datetime

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
