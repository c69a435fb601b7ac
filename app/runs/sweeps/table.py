"""The runs of a sweep side by side: what differs, and what came of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlmodel import Session

from app.core.database import utc_now
from app.jobs.events import EvalPayload, EventKind, MetricPayload, ProgressPayload
from app.jobs.models import Job, JobState
from app.jobs.newest import last_events, told_until_restored
from app.recipes.fields import display
from app.runs.judging import Judging, Verdict
from app.runs.models import Run
from app.runs.sweeps.models import Sweep
from app.runs.sweeps.service import runs_of_sweep

SORTS: Final = ("run", "state", "best", "last", "time")


@dataclass(frozen=True, kw_only=True)
class RunSoFar:
    """How far a run of the sweep is: its values by field, as one would type them, and what came of it. Losses in nats a
    trained token, None where none was measured; `eval_loss_before` is from before any training.
    """

    values: dict[str, str]
    step: int
    total_steps: int
    train_loss: float | None
    eval_loss_before: float | None
    last_eval_loss: float | None
    best_eval_loss: float | None
    best_step: int | None
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Row(RunSoFar):
    """A run, with its rows and the verdict on it."""

    run: Run
    job: Job
    verdict: Verdict | None

    @property
    def run_id(self) -> int:
        """Of the run."""
        return self.run.id or 0


@dataclass(frozen=True)
class SweepTable:
    """All of them, and the best by its held-out loss; `failures` are the reasons of those that failed, each once, with how
    many it was.
    """

    rows: list[Row]
    best: Row | None
    failures: list[tuple[str, int]]

    @property
    def is_over(self) -> bool:
        """Whether every run has ended."""
        return all(row.job.is_final for row in self.rows)

    @property
    def waiting(self) -> int:
        """Runs that have not begun."""
        return sum(row.job.state is JobState.QUEUED for row in self.rows)

    def count(self, state: JobState) -> int:
        """Runs in this state."""
        return sum(row.job.state is state for row in self.rows)

    def sorted_by(self, by: str, *, descending: bool) -> list[Row]:
        """By a field that differs or one of `SORTS`; what has no value comes last."""
        key = _KEYS.get(by) or (lambda row: _number(row.values.get(by)))
        known = [row for row in self.rows if key(row) is not None]
        unknown = [row for row in self.rows if key(row) is None]
        return [*sorted(known, key=lambda row: _comparable(key(row)), reverse=descending), *unknown]


_KEYS: Final[dict[str, Callable[[Row], object]]] = {
    "run": lambda row: row.run_id,
    "state": lambda row: row.job.status,
    "best": lambda row: row.best_eval_loss,
    "last": lambda row: row.last_eval_loss,
    "time": lambda row: row.seconds,
}


def read_table(session: Session, judging: Judging, sweep: Sweep) -> SweepTable:
    """As it is now."""
    found = runs_of_sweep(session, sweep)
    job_ids = [job.id or 0 for _run, job in found]
    events = last_events(session, job_ids, (EventKind.METRIC, EventKind.PROGRESS))
    evals = _evals(session, job_ids)
    verdicts = judging.verdicts(session, [run.id or 0 for run, _job in found])
    rows, now = [], utc_now()
    for run, job in found:
        metric = cast(MetricPayload | None, events.get((run.job_id, EventKind.METRIC)))
        progress = cast(ProgressPayload | None, events.get((run.job_id, EventKind.PROGRESS)))
        losses = evals.get(run.job_id, {})
        best = min(((loss, step) for step, loss in losses.items() if step), default=(None, None))
        rows.append(
            Row(
                run=run,
                job=job,
                values={name: display(getattr(run.config, name)) for name in sweep.varied.fields},
                step=progress["step"] if progress else 0,
                total_steps=progress["total_steps"] if progress else 0,
                train_loss=metric["loss"] if metric else None,
                eval_loss_before=losses.get(0),
                last_eval_loss=losses[max(losses)] if losses else None,
                best_eval_loss=best[0],
                best_step=best[1],
                verdict=verdicts.get(run.id or 0),
                seconds=job.seconds_worked(now),
            )
        )
    # What failed or was discarded makes no model.
    without_model = (JobState.FAILED, JobState.CANCELLED)
    measured = [row for row in rows if row.best_eval_loss is not None and row.job.state not in without_model]
    return SweepTable(
        rows, min(measured, key=lambda row: row.best_eval_loss or 0.0, default=None), _failures(rows)
    )


def _failures(rows: Sequence[Row]) -> list[tuple[str, int]]:
    told: dict[str, int] = {}
    for row in rows:
        if row.job.state is JobState.FAILED:
            reason = row.job.error_text or ""
            told[reason] = told.get(reason, 0) + 1
    return list(told.items())


def _evals(session: Session, job_ids: Sequence[int]) -> dict[int, dict[int, float]]:
    """By job and step the held-out loss; of a step that a rescued run measured twice, the later one."""
    told = told_until_restored(session, job_ids, EvalPayload)
    return {
        job_id: {one["step"]: one["eval_loss"] for one in evals if one["eval_loss"] is not None}
        for job_id, evals in told.items()
    }


def _number(text: str | None) -> object:
    try:
        return float(text or "")
    except ValueError:
        return text or None


def _comparable(value: object) -> tuple[int, float, str]:
    """Numbers before words."""
    if isinstance(value, int | float):
        return (0, float(value), "")
    return (1, 0.0, str(value))
