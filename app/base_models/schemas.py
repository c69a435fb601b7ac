"""What REST reads and writes for base models."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.accounts.who import CreatedByOut
from app.base_models.facts import ModelFacts
from app.base_models.models import BaseModelSource, ModelEntry
from app.jobs.models import Job
from app.jobs.schemas import JobOut


class BaseModelIn(BaseModel):
    """A model to register: `bundled`, which needs no reference, `hub` or `local`. What a run made is registered by the run."""

    model_config = ConfigDict(extra="forbid")

    source: Literal[BaseModelSource.BUNDLED, BaseModelSource.HUB, BaseModelSource.LOCAL]
    reference: str = Field(default="", max_length=500)
    name: str = Field(default="", max_length=120)
    revision: str | None = Field(default=None, max_length=80)
    # Fetch what masks need and no weights: enough for previews, not for mask checks and runs.
    tokenizer_only: bool = False


class BaseModelOut(CreatedByOut):
    """A base model and the job that prepares it."""

    id: int
    name: str
    source: BaseModelSource
    reference: str
    revision: str | None
    is_ready: bool
    info: ModelFacts
    created_at: datetime
    job: JobOut | None

    @classmethod
    def of(cls, model: ModelEntry, job: Job | None) -> "BaseModelOut":
        """From the stored rows."""
        values = {name: getattr(model, name) for name in cls.model_fields if name != "job"}
        return cls.model_validate({**values, "job": JobOut.of(job) if job else None})
