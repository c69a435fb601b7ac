"""What REST reads and writes for runs."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from app.accounts.who import CreatedByOut
from app.jobs.models import Job
from app.jobs.schemas import JobOut
from app.recipes.config import TrainingConfig
from app.recipes.fields import changes_schema
from app.runs.curves import METRIC_FIELDS, Curves
from app.runs.models import Run, RunArtifact
from app.runs.result import RunResult


class RecipeOut(BaseModel):
    """A recipe and the full config it stands for."""

    name: str
    config: TrainingConfig


class RunIn(BaseModel):
    """Start a run. `mask_check_id` names version, model and mask settings at once."""

    model_config = ConfigDict(extra="forbid")

    mask_check_id: int
    recipe: str = "standard"
    # Told in the document; judged where the command line's and the form's are, in the same words.
    changes: Annotated[dict[str, Any], WithJsonSchema(changes_schema())] = Field(
        default_factory=dict,
        description="Changes to the recipe's config, spelled as TRL and PEFT spell them.",
    )
    name: str = Field(default="", max_length=120)
    confirmed: bool = False
    override_reason: str = Field(default="", max_length=1000)
    evaluate_with: list[str] = Field(default_factory=list, max_length=10)


class RunOut(CreatedByOut):
    """A run; its state is that of its job."""

    id: int
    name: str
    dataset_version_id: int
    base_model_id: int
    mask_check_id: int
    recipe: str
    config: TrainingConfig
    arrays_hash: str
    confirmed_by: str
    confirmed_by_user_id: int | None
    confirmed_by_token_id: int | None
    override_reason: str | None
    evaluate_with: list[str]
    result: RunResult | None
    created_at: datetime
    job: JobOut

    @classmethod
    def of(cls, run: Run, job: Job) -> "RunOut":
        """From the stored rows."""
        values = {name: getattr(run, name) for name in cls.model_fields if name != "job"}
        return cls.model_validate({**values, "job": JobOut.of(job)})


class ArtifactOut(BaseModel):
    """A published file."""

    id: int
    name: str
    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, artifact: RunArtifact) -> "ArtifactOut":
        """From the stored row."""
        return cls.model_validate({name: getattr(artifact, name) for name in cls.model_fields})


class CurvesOut(BaseModel):
    """Columns of equal length: what was measured at each logged step, and the held-out loss at its own steps."""

    last_seq: int
    step: list[int]
    epoch: list[float | None]
    loss: list[float | None]
    learning_rate: list[float | None]
    grad_norm: list[float | None]
    tokens_per_second: list[float | None]
    memory_bytes: list[float | None]
    eval_step: list[int]
    eval_loss: list[float | None]

    @classmethod
    def of(cls, curves: Curves) -> "CurvesOut":
        """From points to columns."""
        columns: dict[str, Any] = {
            name: [point.get(name) for point in curves.metrics] for name in ("step", *METRIC_FIELDS)
        }
        columns["eval_step"] = [point["step"] for point in curves.evals]
        columns["eval_loss"] = [point["eval_loss"] for point in curves.evals]
        return cls(last_seq=curves.last_seq, **columns)
