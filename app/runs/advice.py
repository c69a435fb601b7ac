"""What to change after a run that failed: the remedy for the reason, as a new run with other values."""

from dataclasses import dataclass, field
from typing import Final

from app.diagnosis.remedies import calmer
from app.jobs.models import Job, JobState
from app.recipes.fields import display
from app.runs.diagnosis import settings_of
from app.runs.models import Run
from app.sentences import N_, FailureCode, Sentence


@dataclass(frozen=True)
class Remedy:
    """A sentence, and changed fields for a new run (none: look first)."""

    sentence: Sentence
    changes: dict[str, str] = field(default_factory=dict)


# A process that was killed was most often killed for the memory it took.
_MEMORY: Final = (FailureCode.OUT_OF_MEMORY, FailureCode.KILLED)


def remedy_for(run: Run, job: Job) -> Remedy | None:
    """None unless the run failed."""
    if job.state is not JobState.FAILED:
        return None
    if job.error_code in _MEMORY:
        batch = run.config.per_device_train_batch_size
        accumulation = run.config.gradient_accumulation_steps
        changes = {"gradient_checkpointing": "true"}
        if batch > 1:
            # The same number of samples a step, fewer of them in memory at once.
            changes |= {
                "per_device_train_batch_size": str(batch // 2),
                "gradient_accumulation_steps": str(accumulation * 2),
            }
        half = N_("Try again with half the batch, twice the accumulation and gradient checkpointing.")
        return Remedy(Sentence(half), changes)
    if job.error_code == FailureCode.NOT_A_NUMBER:
        sentence, calm = calmer(settings_of(run.config))
        return Remedy(sentence, {name: display(value) for name, value in calm.items()})
    look = N_("The end of the log below says what happened before. Then start a new run like this one.")
    return Remedy(Sentence(look))
