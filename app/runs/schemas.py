"""What REST reads and writes for mask checks and runs."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.jobs.api import JobOut
from app.jobs.models import Job
from app.runs.models import MaskCheck, Run, RunArtifact


class MaskCheckIn(BaseModel):
    """Ask for the masks of a frozen version to be made and checked for a base model."""

    model_config = ConfigDict(extra="forbid")

    dataset_version_id: int
    base_model_id: int
    # train_on, handling, max_length, control_tokens, train_reasoning; absent ones take their defaults.
    settings: dict[str, Any] = Field(default_factory=dict)


class MaskCheckOut(BaseModel):
    """A mask check; `passed` is null until it is done."""

    id: int
    dataset_version_id: int
    base_model_id: int
    settings: dict[str, Any]
    passed: bool | None
    report: dict[str, Any] | None
    arrays_hash: str | None
    created_by: str
    created_at: datetime
    job: JobOut

    @classmethod
    def of(cls, check: MaskCheck, job: Job) -> "MaskCheckOut":
        """From the stored rows."""
        values = {name: getattr(check, name) for name in cls.model_fields if name != "job"}
        return cls.model_validate({**values, "job": JobOut.of(job)})


class RunIn(BaseModel):
    """Start a run. `mask_check_id` names version, model and mask settings at once."""

    model_config = ConfigDict(extra="forbid")

    mask_check_id: int
    recipe: str = "standard"
    # Changes to the recipe's config, spelled as TRL and PEFT spell them.
    changes: dict[str, Any] = Field(default_factory=dict)
    name: str = Field(default="", max_length=120)
    confirmed: bool = False
    override_reason: str = Field(default="", max_length=1000)
    evaluate_with: list[str] = Field(default_factory=list, max_length=10)


class RunOut(BaseModel):
    """A run; its state is that of its job."""

    id: int
    name: str
    dataset_version_id: int
    base_model_id: int
    mask_check_id: int
    recipe: str
    config: dict[str, Any]
    arrays_hash: str
    confirmed_by: str
    override_reason: str | None
    evaluate_with: list[str]
    result: dict[str, Any] | None
    created_by: str
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
