"""How long jobs take, by what took how long before; what nobody can know is None."""

from collections.abc import Mapping
from datetime import datetime
from statistics import median
from typing import Final

from sqlmodel import Session, col, select

from app.evaluations.models import Evaluation
from app.jobs.events import EventKind, EventPayload
from app.jobs.models import Job, JobKind, JobState
from app.recipes.estimates import estimate_steps
from app.runs.mixing import epoch_of
from app.runs.models import Run
from app.runs.pace import Ahead, expected_pace
from app.versions.service import require_version

# Of jobs other than runs: the middle of so many of the same kind.
_NEWEST: Final = 5


class Durations:
    """Expected seconds of whole jobs; what is asked twice is looked up once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[tuple[JobKind, str], float | None] = {}

    def of(self, job: Job) -> float | None:
        """From the beginning of the job to its end."""
        if job.kind is JobKind.TRAIN:
            return self._of_run(job)
        about = self._suite_of(job) if job.kind is JobKind.EVALUATE else ""
        key = (job.kind, about)
        if key not in self._known:
            self._known[key] = self._of_the_like(*key)
        return self._known[key]

    def left(self, job: Job, events: Mapping[tuple[int, str], EventPayload], now: datetime) -> float | None:
        """What is left of a running job: as its worker says, else what is expected of it less what has passed. None once
        that is used up.
        """
        progress = events.get((job.id or 0, EventKind.PROGRESS))
        told = progress.get("eta_seconds") if progress else None
        if isinstance(told, int | float):
            return max(0.0, float(told))
        whole = self.of(job)
        if whole is None or job.started_at is None:
            return None
        left = whole - (now - job.started_at).total_seconds()
        return left if left > 0 else None

    def _of_run(self, job: Job) -> float | None:
        run = self._session.exec(select(Run).where(Run.job_id == job.id)).first()
        if run is None:
            return None
        epoch = epoch_of(self._session, run)
        estimate, ahead = estimate_steps(epoch.samples, run.config), None
        if epoch.tokens is not None:
            held_out = require_version(self._session, run.dataset_version_id).validation_count
            tokens = round(epoch.tokens * estimate.epochs)
            ahead = Ahead.of(tokens, estimate.steps, run.config, held_out)
        pace = expected_pace(self._session, run.base_model_id, run.config, ahead)
        budget = run.config.max_train_minutes * 60
        if pace is None:
            return budget or None
        return min(pace.seconds, budget) if budget else pace.seconds

    def _suite_of(self, job: Job) -> str:
        found = self._session.exec(select(Evaluation.suite_name).where(Evaluation.job_id == job.id)).first()
        return found or ""

    def _of_the_like(self, kind: JobKind, suite: str) -> float | None:
        statement = select(Job.started_at, Job.finished_at).where(
            Job.kind == kind, Job.state == JobState.SUCCEEDED, Job.attempt == 1
        )
        if suite:
            statement = statement.join(Evaluation, col(Evaluation.job_id) == Job.id).where(
                Evaluation.suite_name == suite
            )
        rows = self._session.exec(statement.order_by(col(Job.id).desc()).limit(_NEWEST))
        taken = [(end - begin).total_seconds() for begin, end in rows if begin and end]
        return median(taken) if taken else None
