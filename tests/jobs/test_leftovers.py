"""What stays of a job's working files: those of the attempt that succeeded, and the logs."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.leftovers import clear_all_leftovers, clear_leftovers
from app.jobs.models import JobKind, JobState
from tests.support.training import ENGINEER


def leave(job: Path) -> None:
    """What an attempt that was killed and one that came to its end leave."""
    for name in ("1/model/half.safetensors", "1/log.txt", "2/arrays.safetensors", "2/log.txt", "2/job.json"):
        path = job / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (job / "1" / "link").symlink_to(job.parent)


def left(job: Path) -> set[str]:
    return {str(path.relative_to(job)) for path in job.rglob("*") if path.is_file()}


LOGS = {"1/log.txt", "2/log.txt", "2/job.json"}


@pytest.mark.parametrize(
    ("state", "kept"),
    [(JobState.SUCCEEDED, {"2/arrays.safetensors"}), (JobState.FAILED, set()), (JobState.CANCELLED, set())],
)
def test_only_what_a_success_made_stays_beside_the_logs(
    tmp_path: Path, state: JobState, kept: set[str]
) -> None:
    leave(tmp_path / "7")
    clear_leftovers(tmp_path / "7", state, 2)
    assert left(tmp_path / "7") == LOGS | kept
    assert not (tmp_path / "7" / "1" / "link").is_symlink()
    assert (tmp_path / "7").exists()


def test_a_worker_clears_up_after_jobs_that_ended_without_one(engine: Engine, tmp_path: Path) -> None:
    storage = Storage(tmp_path / "storage")
    with transaction(engine) as session:
        ended, going_on, other = (
            jobs.enqueue(session, kind, created_by=ENGINEER.who)
            for kind in (JobKind.CHECK_MASKS, JobKind.CHECK_MASKS, JobKind.TRAIN)
        )
        for job in (ended, other):
            claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
            assert claim is not None
            jobs.finish(session, claim, JobState.CANCELLED)
        folders = [storage.root / "jobs" / str(job.id) for job in (ended, going_on, other)]
    for folder in folders:
        leave(folder)
    clear_all_leftovers(engine, storage, [JobKind.CHECK_MASKS, JobKind.EVALUATE])
    assert [left(folder) == LOGS for folder in folders] == [True, False, False]
