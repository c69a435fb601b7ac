"""What REST reads and writes for the checkpoints of a run."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from app.core.i18n import say
from app.recipes.continuing import CHANGEABLE
from app.recipes.fields import changes_schema
from app.runs.checkpoints import CheckpointLine
from app.runs.preflight.schemas import ACCEPTED, AcceptedNames


class CheckpointOut(BaseModel):
    """`eval_loss` (nats a trained token) is the held-out loss at this step, null where it was not measured. `is_best`: the lowest of those
    that are still there; `is_best_of_run`: the lowest that the run measured at all, which may be of a checkpoint that is gone, or of none.
    `size_bytes` is null for one that is gone; `gone` says why, in the reader's language."""

    step: int
    epoch: float | None
    eval_loss: float | None
    is_best: bool
    is_best_of_run: bool
    size_bytes: int | None
    gone: str | None

    @classmethod
    def of(cls, line: CheckpointLine) -> "CheckpointOut":
        """From what was found."""
        return cls(**{**vars(line), "gone": say(line.gone) if line.gone else None})


class KeepIn(BaseModel):
    """What may be said beside a checkpoint: warnings of the pre-flight that the run's own start had not accepted."""

    model_config = ConfigDict(extra="forbid")

    accepted_warnings: AcceptedNames = Field(default_factory=list, description=ACCEPTED)


class ContinueIn(KeepIn):
    """What may be otherwise from there on; everything else is refused by its field."""

    changes: Annotated[dict[str, Any], WithJsonSchema(changes_schema(CHANGEABLE))] = Field(
        default_factory=dict
    )


class OnwardPlanIn(ContinueIn):
    """What would be started: a run that goes on, or with `keep` one whose model is the checkpoint as it is."""

    keep: bool = False
