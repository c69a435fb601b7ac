"""How long a run will take, going by the newest one on the same base model by the same trainer. No such run, no figure."""

from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, col, select

from app.jobs.events import ProgressPayload
from app.jobs.models import Job, JobState
from app.jobs.newest import last_event
from app.recipes.backend import Backend
from app.runs.mixing import epoch_of
from app.runs.models import Run
from app.runs.planning import Plan

# What is known of the past is not known to the second.
_ROUND_TO_SECONDS: Final = 10
# Of the newest runs on the model; how quick something was long before says little.
_LOOKED_THROUGH: Final = 50


@dataclass(frozen=True)
class Pace:
    """Expected wall time, start-up and held-out measurements included, and the run it was taken from."""

    seconds: float
    run_id: int


def expected_pace(session: Session, base_model_id: int, backend: Backend, tokens: int | None) -> Pace | None:
    """What the newest uninterrupted run on this model by this backend says of training so many tokens over all epochs: what one
    program takes says nothing of another."""
    if tokens is None:
        return None
    found = _newest_run(session, base_model_id, backend)
    if found is None:
        return None
    run, job = found
    progress = last_event(session, run.job_id, ProgressPayload)
    epoch = progress.get("epoch") if progress else None
    work = float(epoch_of(session, run).tokens or 0) * float(epoch or 0)
    if not work or job.started_at is None or job.finished_at is None:
        return None
    taken = (job.finished_at - job.started_at).total_seconds()
    seconds = taken * tokens / work
    assert run.id is not None
    return Pace(max(1, round(seconds / _ROUND_TO_SECONDS)) * _ROUND_TO_SECONDS, run.id)


def pace_of(session: Session, base_model_id: int, plan: Plan) -> Pace | None:
    """Of a plan: None too where its config or its tokens are not known."""
    if plan.config is None or plan.tokens is None:
        return None
    return expected_pace(session, base_model_id, plan.config.backend, plan.tokens.all)


def _newest_run(session: Session, base_model_id: int, backend: Backend) -> tuple[Run, Job] | None:
    statement = (
        select(Run, Job)
        .join(Job, col(Run.job_id) == Job.id)
        .where(
            Run.base_model_id == base_model_id, col(Job.state) == JobState.SUCCEEDED, col(Job.attempt) == 1
        )
        .order_by(col(Run.id).desc())
        .limit(_LOOKED_THROUGH)
    )
    found = ((run, job) for run, job in session.exec(statement) if run.config.backend == backend)
    return next(found, None)
