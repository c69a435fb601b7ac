"""How long a run will take, going by the newest one on the same base model that was trained in the same way. No such run, no figure."""

from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, col, select

from app.jobs.events import EventKind, ProgressPayload
from app.jobs.models import Job, JobEvent, JobState
from app.jobs.newest import last_event
from app.recipes.config import TrainingConfig
from app.runs.mixing import epoch_of
from app.runs.models import Run
from app.runs.planning import Plan

# What is known of the past is not known to the second.
_ROUND_TO_SECONDS: Final = 10
# Of the newest runs on the model; how quick something was long before says little.
_LOOKED_THROUGH: Final = 50
# What decides how long a token takes, between some of them many times as long.
_SAME_PACE: Final = ("backend", "method", "use_dora", "gradient_checkpointing", "bf16", "num_processes")


@dataclass(frozen=True)
class Pace:
    """Expected wall time, start-up and held-out measurements included, and the run it was taken from."""

    seconds: float
    run_id: int


def expected_pace(
    session: Session, base_model_id: int, config: TrainingConfig, tokens: int | None
) -> Pace | None:
    """What the newest uninterrupted run on this model that was trained as `config` says tells of training so many tokens over all
    epochs. What one program or one method takes says nothing of another; loading and saving take what they take, however long the training.
    """
    if tokens is None:
        return None
    found = _newest_run(session, base_model_id, config)
    if found is None:
        return None
    run, job = found
    progress = last_event(session, run.job_id, ProgressPayload)
    epoch = progress.get("epoch") if progress else None
    work = float(epoch_of(session, run).tokens or 0) * float(epoch or 0)
    if not work or job.started_at is None or job.finished_at is None:
        return None
    taken = (job.finished_at - job.started_at).total_seconds()
    stepping = _seconds_of_steps(session, run.job_id) or taken
    seconds = max(0.0, taken - stepping) + stepping * tokens / work
    assert run.id is not None
    return Pace(max(1, round(seconds / _ROUND_TO_SECONDS)) * _ROUND_TO_SECONDS, run.id)


def way_of(config: TrainingConfig) -> tuple[object, ...]:
    """What runs have in common of which one tells how long the other takes."""
    return tuple(getattr(config, name) for name in _SAME_PACE)


def _seconds_of_steps(session: Session, job_id: int) -> float | None:
    """What all steps of a run took, by the moments at which the first and the last of them were told; None where only one was."""
    told = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.kind == EventKind.PROGRESS)
    first = session.exec(told.order_by(col(JobEvent.seq)).limit(1)).first()
    last = session.exec(told.order_by(col(JobEvent.seq).desc()).limit(1)).first()
    if first is None or last is None:
        return None
    begun, done = int(first.payload["step"]), int(last.payload["step"])
    between = (last.created_at - first.created_at).total_seconds()
    return between * done / (done - begun) if done > begun else None


def pace_of(session: Session, base_model_id: int, plan: Plan) -> Pace | None:
    """Of a plan: None too where its config or its tokens are not known."""
    if plan.config is None or plan.tokens is None:
        return None
    return expected_pace(session, base_model_id, plan.config, plan.tokens.all)


def _newest_run(session: Session, base_model_id: int, config: TrainingConfig) -> tuple[Run, Job] | None:
    statement = (
        select(Run, Job)
        .join(Job, col(Run.job_id) == Job.id)
        .where(
            Run.base_model_id == base_model_id, col(Job.state) == JobState.SUCCEEDED, col(Job.attempt) == 1
        )
        .order_by(col(Run.id).desc())
        .limit(_LOOKED_THROUGH)
    )
    wanted = way_of(config)
    found = ((run, job) for run, job in session.exec(statement) if way_of(run.config) == wanted)
    return next(found, None)
