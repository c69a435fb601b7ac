"""Tables of exports. An export's state is that of its job."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Column
from sqlmodel import Field, SQLModel

from app.accounts.who import CreatedBy
from app.core.database import moment_column, utc_now
from app.core.documents import DocumentColumn
from app.exports.work import ExportResult, PushResult


class RunExport(CreatedBy, table=True):
    """A run's files for another program: which kind, with which choices, of which content of its version."""

    __tablename__ = "run_export"

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id", index=True, ondelete="CASCADE")
    kind: str = Field(max_length=40)
    choices: dict[str, str] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    job_id: int = Field(foreign_key="job.id", unique=True)
    # Of the run's version as it was then: it is another one once a conversation was erased from it.
    version_hash: str = Field(max_length=64)
    # None until the files are there.
    result: ExportResult | None = Field(
        default=None, sa_column=Column(DocumentColumn(ExportResult), nullable=True)
    )
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())


class RunExportFile(SQLModel, table=True):
    """A file of an export."""

    __tablename__ = "run_export_file"

    id: int | None = Field(default=None, primary_key=True)
    export_id: int = Field(foreign_key="run_export.id", index=True, ondelete="CASCADE")
    name: str = Field(max_length=255)
    storage_key: str = Field(max_length=255)
    # Past 2 GB, which a plain integer of PostgreSQL does not hold.
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: str = Field(max_length=64)


class HubPush(CreatedBy, table=True):
    """An export's files on their way to a repository of a model hub, or there."""

    __tablename__ = "hub_push"

    id: int | None = Field(default=None, primary_key=True)
    export_id: int = Field(foreign_key="run_export.id", index=True, ondelete="CASCADE")
    repository: str = Field(max_length=200)
    private: bool = True
    job_id: int = Field(foreign_key="job.id", unique=True)
    # None until they are there.
    result: PushResult | None = Field(
        default=None, sa_column=Column(DocumentColumn(PushResult), nullable=True)
    )
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
