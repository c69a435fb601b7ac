"""Tables of runs and their artifacts. A run's state is that of its job."""

from datetime import datetime

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from app.accounts.who import CreatedBy
from app.core.database import moment_column, utc_now
from app.core.documents import DocumentColumn
from app.interop.launching import Launch
from app.recipes.config import TrainingConfig
from app.recipes.settings import RecipeSettings
from app.runs.beginning import Beginning
from app.runs.preflight.documents import PreflightRecord
from app.runs.result import Pieces, RunResult


class Run(CreatedBy, table=True):
    """One fine-tune: exact inputs by hash, the full config, and the result."""

    __tablename__ = "run"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=120)
    dataset_version_id: int = Field(foreign_key="dataset_version.id", index=True)
    base_model_id: int = Field(foreign_key="base_model.id", index=True)
    mask_check_id: int = Field(foreign_key="mask_check.id")
    # Its name as it was. Of an own recipe also which, in which version, and what that set: it may be changed or deleted.
    recipe: str = Field(max_length=40)
    recipe_id: int | None = Field(default=None, index=True)
    recipe_version: int | None = None
    recipe_settings: RecipeSettings | None = Field(
        default=None, sa_column=Column(DocumentColumn(RecipeSettings), nullable=True)
    )
    # The group that it was started in.
    sweep_id: int | None = Field(default=None, foreign_key="sweep.id", index=True)
    config: TrainingConfig = Field(sa_column=Column(DocumentColumn(TrainingConfig), nullable=False))
    arrays_hash: str = Field(max_length=64)
    # A second dataset that is mixed in, checked in the same way; all three or none.
    mix_version_id: int | None = Field(default=None, foreign_key="dataset_version.id", index=True)
    mix_check_id: int | None = Field(default=None, foreign_key="mask_check.id")
    mix_arrays_hash: str | None = Field(default=None, max_length=64)
    # Who looked at the mask check; and why a red one was overridden.
    confirmed_by: str = Field(max_length=80)
    confirmed_by_user_id: int | None = None
    confirmed_by_token_id: int | None = None
    override_reason: str | None = None
    # How the pre-flight stood, and who accepted which warning; None of runs from before there was one.
    preflight: PreflightRecord | None = Field(
        default=None, sa_column=Column(DocumentColumn(PreflightRecord), nullable=True)
    )
    # A second submit with the same key finds the first run.
    idempotency_key: str = Field(max_length=80, unique=True)
    # What it was asked by, so that another request under the key is told from the same one; None of those from before.
    asked_hash: str | None = Field(default=None, max_length=64)
    job_id: int = Field(foreign_key="job.id", unique=True)
    # Suites judged by themselves when training has succeeded.
    evaluate_with: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    # What it began from, where that was not its base model; the run of that once more, to find it by. Runs are never deleted.
    begins: Beginning | None = Field(default=None, sa_column=Column(DocumentColumn(Beginning), nullable=True))
    parent_run_id: int | None = Field(default=None, index=True)
    # The file of accelerate that it is started with, as it was then; None without one.
    launch: Launch | None = Field(default=None, sa_column=Column(DocumentColumn(Launch), nullable=True))
    # What computed the run that this one repeats, to be taken again; None where its trial chooses.
    pieces: Pieces | None = Field(default=None, sa_column=Column(DocumentColumn(Pieces), nullable=True))
    result: RunResult | None = Field(default=None, sa_column=Column(DocumentColumn(RunResult), nullable=True))
    adapter_key: str | None = Field(default=None, max_length=255)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())


class RunArtifact(SQLModel, table=True):
    """A file that a run published."""

    __tablename__ = "run_artifact"

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id", index=True, ondelete="CASCADE")
    name: str = Field(max_length=255)
    storage_key: str = Field(max_length=255)
    size_bytes: int
    sha256: str = Field(max_length=64)
