"""What REST reads and writes for mask checks."""

from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from app.accounts.who import CreatedByOut
from app.jobs.models import Job
from app.jobs.schemas import JobOut
from app.mask_checks.models import MaskCheck
from app.mask_checks.report import MaskReport
from app.mask_settings.fields import MaskSettingsIn

if TYPE_CHECKING:
    # The command line reads these models too, and needs neither the queue nor the storage.
    from app.mask_checks.suspects import Suspect


class MaskCheckIn(BaseModel):
    """Ask for the masks of a frozen version to be made and checked for a base model."""

    model_config = ConfigDict(extra="forbid")

    dataset_version_id: int
    base_model_id: int
    settings: MaskSettingsIn = Field(default_factory=MaskSettingsIn)


class MaskCheckOut(CreatedByOut):
    """A mask check; `passed` is null until it is done."""

    id: int
    dataset_version_id: int
    base_model_id: int
    settings: MaskSettingsIn
    passed: bool | None
    report: MaskReport | None
    arrays_hash: str | None
    created_at: datetime
    job: JobOut

    @classmethod
    def of(cls, check: MaskCheck, job: Job) -> "MaskCheckOut":
        """From the stored rows."""
        values = {name: getattr(check, name) for name in cls.model_fields if name != "job"}
        return cls.model_validate({**values, "job": JobOut.of(job)})


class ReasonOut(BaseModel):
    """Why a conversation deserves a look; `sample` and `token` say where. `check` is the one that failed."""

    kind: str
    check: str | None
    detail: str
    sample: int
    token: int | None


class SuspectOut(BaseModel):
    """A conversation to look at, the worst reason first."""

    conversation_id: int
    reasons: list[ReasonOut]

    @classmethod
    def of(cls, suspect: "Suspect") -> "SuspectOut":
        """In the reader's language."""
        reasons = [
            ReasonOut(kind=why.kind, check=why.check, detail=why.text, sample=why.sample, token=why.token)
            for why in suspect.reasons
        ]
        return cls(conversation_id=suspect.conversation_id, reasons=reasons)


class SuspectsOut(BaseModel):
    """A part of the walk; `total` are all on it. Of each kind only the first 200 of a version are listed."""

    total: int
    suspects: list[SuspectOut]
