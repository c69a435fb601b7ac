"""A worker that is lost takes nothing along that its child had measured: the next attempt tells it first."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from app.accounts.who import Who
from app.core.database import reading, transaction
from app.core.settings import Settings
from app.core.storage import Storage
from app.jobs import service
from app.jobs.events import EventKind
from app.jobs.handlers import Workplace
from app.jobs.models import Job, JobEvent, JobKind, JobState
from app.jobs.record import RECORD, RECORDED
from tests.worker.conftest import Recorder
from worker.parent.attempt import Attempt
from worker.parent.untold import tell_what_was_left
from worker.work.recording import Recording


@pytest.fixture
def job_id(engine: Engine) -> int:
    """A queued training."""
    with transaction(engine) as session:
        return service.enqueue(session, JobKind.TRAIN, created_by=Who("Mei")).id or 0


class Worker:
    """One that takes the job and begins as the supervisor does."""

    def __init__(self, engine: Engine, data_dir: Path) -> None:
        taken = Attempt.take(engine, [JobKind.TRAIN], 30.0)
        assert taken is not None
        self.attempt, storage = taken, Storage(data_dir)
        key = f"jobs/{taken.claim.job_id}/{taken.claim.attempt}"
        self.place = Workplace(Settings(data_dir=data_dir), storage, key)
        storage.folder(key)
        tell_what_was_left(taken, self.place)

    def child_tells(self, *events: tuple[EventKind, dict[str, Any]], heard: bool = True) -> None:
        """What its child measures; not heard where this worker was gone by then."""
        with Recording(Recorder(), self.place.output_dir) as emit:
            for kind, payload in events:
                emit(kind, **payload)
                if heard:
                    self.attempt.tell(kind, self.place.storage.relative(payload))

    def is_lost(self) -> None:
        """Its lease is over: the job waits for another one."""
        with transaction(self.attempt.engine) as session:
            job = session.get(Job, self.attempt.claim.job_id)
            assert job is not None
            job.state = JobState.QUEUED


def metric(step: int) -> tuple[EventKind, dict[str, Any]]:
    return EventKind.METRIC, {"step": step, "loss": 3 - step / 7}


def checkpoint(worker: Worker, step: int) -> tuple[EventKind, dict[str, Any]]:
    return EventKind.CHECKPOINT, {"step": step, "path": f"{worker.place.output_dir}/checkpoint-{step}"}


def stored(engine: Engine, job_id: int) -> list[tuple[str, int]]:
    """Kind and step of all that is recorded, in order."""

    def read(session: Session) -> list[JobEvent]:
        statement = select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.seq)  # type: ignore[arg-type]
        return [event for event in session.exec(statement) if event.kind in RECORDED]

    with reading(engine) as session:
        return [(event.kind, event.payload["step"]) for event in read(session)]


def test_what_a_lost_worker_had_not_stored_is_told_first_by_the_next_and_once(
    engine: Engine, job_id: int, tmp_path: Path
) -> None:
    first = Worker(engine, tmp_path)
    first.child_tells(metric(1), metric(2))
    first.attempt.beat()
    first.child_tells(metric(3))
    first.child_tells(metric(4), checkpoint(first, 4), heard=False)
    with (first.place.output_dir / RECORD).open("a") as torn:
        torn.write('["metric", {"step": 5, "lo')
    first.is_lost()
    # The next one is lost before it had stored anything at all.
    second = Worker(engine, tmp_path)
    second.child_tells(metric(5), heard=False)
    second.is_lost()
    third = Worker(engine, tmp_path)
    third.child_tells(metric(6))
    third.attempt.beat()
    third.is_lost()
    fourth = Worker(engine, tmp_path)
    fourth.child_tells(metric(7))
    fourth.attempt.beat()
    steps = [("metric", step) for step in range(1, 8)]
    assert stored(engine, job_id) == [*steps[:4], ("checkpoint", 4), *steps[4:]]
    with reading(engine) as session:
        (kept,) = [one for one in session.exec(select(JobEvent)) if one.kind == "checkpoint"]
    assert kept.payload["path"] == f"jobs/{job_id}/1/checkpoint-4"


def test_what_was_measured_outlives_workers_that_are_lost_before_their_child_says_a_word(
    engine: Engine, job_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Worker(engine, tmp_path)
    first.child_tells(metric(1))
    first.attempt.beat()
    first.child_tells(metric(2), checkpoint(first, 2), heard=False)
    first.is_lost()
    # One is lost with its claim, one while it takes the record over.
    second = Attempt.take(engine, [JobKind.TRAIN], 30.0)
    assert second is not None
    first.is_lost()

    def killed(*_args: object) -> None:
        raise SystemExit

    with monkeypatch.context() as at_the_end:
        at_the_end.setattr(Path, "replace", killed)
        with pytest.raises(SystemExit):
            Worker(engine, tmp_path)
    first.is_lost()
    fourth = Worker(engine, tmp_path)
    fourth.child_tells(metric(3))
    fourth.attempt.beat()
    assert fourth.attempt.claim.attempt == 4
    assert stored(engine, job_id) == [("metric", 1), ("metric", 2), ("checkpoint", 2), ("metric", 3)]


def test_a_job_that_was_handed_back_or_kept_no_record_has_nothing_left_to_tell(
    engine: Engine, job_id: int, tmp_path: Path
) -> None:
    first = Worker(engine, tmp_path)
    first.child_tells(metric(1), metric(2))
    first.attempt.release()
    second = Worker(engine, tmp_path)
    assert not (second.place.output_dir / RECORD).exists()
    second.attempt.release()
    Worker(engine, tmp_path).attempt.beat()
    assert stored(engine, job_id) == [("metric", 1), ("metric", 2)]
