"""What to change after a run that failed: the remedy for the reason, as a new run with other values."""

from dataclasses import dataclass, field
from typing import Final

from app.jobs.models import Job, JobState
from app.runs.models import Run
from app.sentences import N_


@dataclass(frozen=True)
class Remedy:
    """A sentence, and changed fields for a new run (none: look first)."""

    message: str
    changes: dict[str, str] = field(default_factory=dict)
    recipe: str | None = None


_MEMORY_WORDS: Final = ("memory", "signal")
_LOSS_WORDS: Final = ("stopped being a number", "nan", "learning rate")


def remedy_for(run: Run, job: Job) -> Remedy | None:
    """None unless the run failed."""
    if job.state is not JobState.FAILED:
        return None
    reason = (job.error or "").lower()
    if any(word in reason for word in _MEMORY_WORDS):
        batch = run.config.per_device_train_batch_size
        accumulation = run.config.gradient_accumulation_steps
        changes = {"gradient_checkpointing": "true"}
        if batch > 1:
            # The same number of samples a step, fewer of them in memory at once.
            changes |= {
                "per_device_train_batch_size": str(batch // 2),
                "gradient_accumulation_steps": str(accumulation * 2),
            }
        return Remedy(
            N_("Try again with half the batch, twice the accumulation and gradient checkpointing."), changes
        )
    if any(word in reason for word in _LOSS_WORDS):
        return Remedy(
            N_("Try again with the stable recipe: a low learning rate and more accumulation."),
            recipe="stable",
        )
    return Remedy(
        N_("The end of the log below says what happened before. Then start a new run like this one.")
    )
