"""How long a run will take, going by the newest one on the same base model. No such run, no figure."""

from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, col, select

from app.jobs.events import ProgressPayload
from app.jobs.models import Job, JobState
from app.jobs.newest import last_event
from app.mask_checks.models import MaskCheck
from app.runs.models import Run
from app.versions.models import DatasetVersion

# What is known of the past is not known to the second.
_ROUND_TO_SECONDS: Final = 10


@dataclass(frozen=True)
class Pace:
    """Expected wall time, start-up and held-out measurements included, and the run it was taken from."""

    seconds: float
    run_id: int


def expected_pace(
    session: Session,
    version: DatasetVersion | None,
    check: MaskCheck | None,
    base_model_id: int,
    epochs: float,
) -> Pace | None:
    """What the newest uninterrupted run on this model says of training this version for so many epochs."""
    if version is None or check is None or not check.report:
        return None
    found = _newest_run(session, base_model_id)
    if found is None:
        return None
    run, job, old_version, old_check = found
    progress = last_event(session, run.job_id, ProgressPayload)
    epoch = progress.get("epoch") if progress else None
    work = _tokens(old_version, old_check) * float(epoch or 0)
    if not work or job.started_at is None or job.finished_at is None:
        return None
    taken = (job.finished_at - job.started_at).total_seconds()
    seconds = taken * _tokens(version, check) * epochs / work
    assert run.id is not None
    return Pace(max(1, round(seconds / _ROUND_TO_SECONDS)) * _ROUND_TO_SECONDS, run.id)


def _newest_run(session: Session, base_model_id: int) -> tuple[Run, Job, DatasetVersion, MaskCheck] | None:
    statement = (
        select(Run, Job, DatasetVersion, MaskCheck)
        .join(Job, col(Run.job_id) == Job.id)
        .join(DatasetVersion, col(Run.dataset_version_id) == DatasetVersion.id)
        .join(MaskCheck, col(Run.mask_check_id) == MaskCheck.id)
        .where(
            Run.base_model_id == base_model_id, col(Job.state) == JobState.SUCCEEDED, col(Job.attempt) == 1
        )
        .order_by(col(Run.id).desc())
        .limit(1)
    )
    return session.exec(statement).first()


def _tokens(version: DatasetVersion, check: MaskCheck) -> float:
    """Tokens of the training split: the check counts all of the version's."""
    tokens = float(check.report.tokens if check.report else 0)
    return tokens * version.train_count / max(1, version.conversation_count)
