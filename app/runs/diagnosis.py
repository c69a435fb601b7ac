"""What is wrong with a run so far: its record as the rules read it, and what they find as a new run would put it right."""

from collections.abc import Sequence
from urllib.parse import urlencode

from sqlmodel import Session

from app.diagnosis import Finding, Record, SampleAnswer, Settings, TrainPoint, diagnose
from app.jobs.events import MetricPayload, ProgressPayload
from app.jobs.models import Job
from app.jobs.newest import last_event
from app.recipes.config import TrainingConfig
from app.recipes.fields import display
from app.runs.losses import read_losses
from app.runs.mixing import switch_of
from app.runs.models import Run
from app.runs.samples import read_samples
from app.runs.service import run_job
from app.sentences import Failure, FailureCode


def diagnose_run(session: Session, run: Run) -> list[Finding]:
    """What the rules find in a run that goes on or has ended, by all that it has told."""
    return diagnose(record_of(session, run), settings_of(run.config))


def settings_of(config: TrainingConfig) -> Settings:
    """The part of a config that remedies change."""
    return Settings(**{name: getattr(config, name) for name in Settings.__dataclass_fields__})


def new_run_address(run: Run, finding: Finding) -> str:
    """The form of a new run like this one, with exactly the changed fields otherwise."""
    typed = {name: display(value) for name, value in finding.changes.items()}
    return f"/runs/new?{urlencode({'like': run.id, **typed})}"


def changed_fields(run: Run, finding: Finding) -> list[tuple[str, str, str]]:
    """Field, value now and value then, as a person would type them."""
    return [
        (name, display(getattr(run.config, name)), display(value)) for name, value in finding.changes.items()
    ]


def record_of(session: Session, run: Run) -> Record:
    """What a run has told so far, as the rules read it."""
    job = run_job(session, run)
    losses = read_losses(session, job)
    progress = last_event(session, job.id or 0, ProgressPayload)
    total = progress["total_steps"] if progress else None
    return Record(
        _with_epoch(losses.train, last_event(session, job.id or 0, MetricPayload)),
        losses.evals,
        [
            SampleAnswer(answer["step"], answer["prompt"], answer["text"], answer["copied"])
            for answer in read_samples(session, job).of_all()
        ],
        total_steps=total,
        broke_at=_broke_at(job),
        switches_at=switch_of(session, run, total),
    )


def _with_epoch(points: Sequence[TrainPoint], newest: MetricPayload | None) -> Sequence[TrainPoint]:
    """The last point with the epoch it was told with: steps are in proportion to epochs, so one is enough."""
    if not points or newest is None:
        return points
    return [*points[:-1], points[-1]._replace(epoch=newest.get("epoch"))]


def _broke_at(job: Job) -> int | None:
    """The step at which a job failed because its loss, or what it would have kept, was no number."""
    if job.error_code != FailureCode.NOT_A_NUMBER or job.failure is None:
        return None
    step = Failure.from_json(job.failure).sentence.values.get("step")
    return step if isinstance(step, int) else None
