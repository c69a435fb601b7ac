"""A database that is busy or away neither ends a job nor loses what it told; a lease that is gone writes nothing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlmodel import Session, select

from app.accounts.who import Who
from app.core.database import build_engine, reading, transaction
from app.jobs import service, stopping
from app.jobs.events import EventKind
from app.jobs.models import Job, JobEvent, JobKind, JobState, StopRequest
from app.jobs.service import LeaseLost
from app.sentences import Failure, FailureCode, Sentence
from worker.parent.attempt import Attempt


@pytest.fixture
def impatient(engine: Engine, database_url: str) -> Iterator[Engine]:
    """The same database, for a worker that waits a tenth of a second for its turn."""
    impatient = build_engine(engine.url.render_as_string(hide_password=False), wait_seconds=0.1)
    yield impatient
    impatient.dispose()


@pytest.fixture
def job_id(engine: Engine) -> int:
    """A queued job."""
    with transaction(engine) as session:
        found = service.enqueue(session, JobKind.TRAIN, created_by=Who("Mei")).id
    assert found is not None
    return found


def take(engine: Engine, job_id: int, lease_seconds: float = 30.0) -> Attempt:
    mine = Attempt.take(engine, [JobKind.TRAIN], lease_seconds)
    assert mine is not None
    assert mine.claim.job_id == job_id
    return mine


@contextmanager
def busy(engine: Engine, job_id: int) -> Iterator[None]:
    """Somebody else writes, and takes his time."""
    with transaction(engine) as session:
        session.execute(text("UPDATE job SET phase = phase WHERE id = :id"), {"id": job_id})
        yield


def told(engine: Engine, job_id: int) -> list[dict[str, Any]]:
    """Payloads of what the attempt told, in order; checks that nothing is missing in the sequence."""
    with reading(engine) as session:
        events = session.exec(select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.seq))  # type: ignore[arg-type]
        found = [(item.seq, item.kind, item.payload) for item in events]
    assert [seq for seq, _kind, _payload in found] == list(range(1, len(found) + 1))
    return [payload for _seq, kind, payload in found if kind == "metric"]


def state(engine: Engine, job_id: int) -> Job:
    with reading(engine) as session:
        job = service.require_job(session, job_id)
        session.expunge(job)
    return job


def test_what_was_told_while_the_database_was_busy_comes_with_the_next_good_beat(
    engine: Engine, impatient: Engine, job_id: int
) -> None:
    mine = take(impatient, job_id)
    mine.tell("metric", {"step": 1})
    with busy(engine, job_id):
        assert mine.beat() is None
        mine.tell("metric", {"step": 2})
        assert mine.beat() is None
    mine.tell("metric", {"step": 3})
    mine.beat()
    assert told(engine, job_id) == [{"step": 1}, {"step": 2}, {"step": 3}]
    assert state(engine, job_id).attempt == 1


def test_an_end_waits_for_its_turn_and_brings_along_what_was_told(
    engine: Engine, impatient: Engine, job_id: int
) -> None:
    mine = take(impatient, job_id)
    mine.tell("metric", {"step": 1})
    let_go = threading.Event()

    def hold() -> None:
        with busy(engine, job_id):
            held.set()
            let_go.wait(120)

    held = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(120)
    threading.Timer(1.0, let_go.set).start()
    mine.finish(JobState.SUCCEEDED, result={"steps": 1})
    holder.join(120)
    assert state(engine, job_id).state is JobState.SUCCEEDED
    assert told(engine, job_id) == [{"step": 1}]


@pytest.mark.parametrize("write", ["beat", "finish", "release", "read"])
def test_when_the_lease_is_gone_the_attempt_gives_up_and_writes_nothing(
    engine: Engine, impatient: Engine, job_id: int, write: str
) -> None:
    mine = take(impatient, job_id, lease_seconds=0.1)
    mine.tell("metric", {"step": 1})
    act = {
        "beat": mine.beat,
        "finish": lambda: mine.finish(JobState.SUCCEEDED),
        "release": mine.release,
        "read": lambda: mine.read(lambda session: session.execute(text("UPDATE job SET phase = 'x'"))),
    }
    with busy(engine, job_id):
        with pytest.raises(LeaseLost):
            act[write]()
        mine.fail(Failure.of(FailureCode.UNEXPECTED, "Too late."))  # which is logged
    with transaction(engine) as session:
        assert service.rescue_expired(session, max_attempts=3) == [job_id]
    assert told(engine, job_id) == []
    again = take(engine, job_id)
    assert again.claim.attempt == 2
    with pytest.raises(LeaseLost):
        mine.finish(JobState.SUCCEEDED, result={"by": "the first"})
    again.finish(JobState.SUCCEEDED, result={"by": "the second"})
    assert state(engine, job_id).result == {"by": "the second"}


@contextmanager
def broken_commit(engine: Engine, *, done: bool) -> Iterator[None]:
    """The connection is lost at a commit: after it was done, or before."""
    commit = engine.dialect.do_commit
    driver: Any = engine.dialect.loaded_dbapi

    def lose(connection: Any) -> None:
        if done:
            commit(connection)
        raise driver.OperationalError("the connection was lost")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.dialect, "do_commit", lose)
        yield


def test_a_commit_that_broke_off_after_it_was_done_tells_nothing_twice(engine: Engine, job_id: int) -> None:
    mine = take(engine, job_id)
    mine.tell("metric", {"step": 1})
    mine.tell("metric", {"step": 2})
    with broken_commit(engine, done=True):
        assert mine.beat() is None
    with transaction(engine) as session:
        stopping.request_stop(session, job_id, StopRequest.SAVE)  # an event of somebody else in between
    mine.tell("metric", {"step": 3})
    with broken_commit(engine, done=False):
        assert mine.beat() is None
    assert mine.beat() is StopRequest.SAVE
    assert told(engine, job_id) == [{"step": 1}, {"step": 2}, {"step": 3}]


def test_what_no_waiting_mends_is_raised_at_once(engine: Engine, job_id: int) -> None:
    mine = take(engine, job_id)

    def refuse(session: Session) -> None:
        session.execute(text("INSERT INTO job (id) VALUES (NULL)"))

    with pytest.raises(IntegrityError):
        mine.finish(JobState.SUCCEEDED, publish=refuse)
    assert state(engine, job_id).state is JobState.RUNNING


def test_a_job_that_is_handed_back_keeps_its_last_second(engine: Engine, job_id: int) -> None:
    mine = take(engine, job_id)
    mine.tell("metric", {"step": 1})
    mine.release()
    assert told(engine, job_id) == [{"step": 1}]
    assert state(engine, job_id).state is JobState.QUEUED


def test_a_claim_on_a_busy_database_leaves_the_job_in_the_queue(
    engine: Engine, impatient: Engine, job_id: int
) -> None:
    with busy(engine, job_id), pytest.raises(SQLAlchemyError):
        Attempt.take(impatient, [JobKind.TRAIN], 30)
    assert state(engine, job_id).state is JobState.QUEUED
    assert take(impatient, job_id).claim.attempt == 1


def test_events_are_merged_but_never_into_those_that_may_be_stored_already(
    engine: Engine, job_id: int
) -> None:
    mine = Attempt.take(engine, [JobKind.TRAIN], 30, merge=lambda events: events[:1])
    assert mine is not None
    for step in (1, 2):
        mine.tell("metric", {"step": step})
    with broken_commit(engine, done=False):
        mine.beat()
    for step in (3, 4):
        mine.tell("metric", {"step": step})
    mine.beat()
    assert told(engine, job_id) == [{"step": 1}, {"step": 3}]


def test_a_killed_process_has_one_more_attempt_and_no_third(engine: Engine, job_id: int) -> None:
    why = Sentence.of("Killed.")
    first = take(engine, job_id)
    first.tell(EventKind.METRIC, {"step": 1})
    assert first.begin_again(why)
    with reading(engine) as session:
        job = session.get_one(Job, job_id)
        assert (job.state, job.attempt, job.releases, job.device_slot) == (JobState.QUEUED, 1, 0, None)
    assert told(engine, job_id) == [{"step": 1}]
    with pytest.raises(LeaseLost):
        first.beat()
    take(engine, job_id).release()
    third = take(engine, job_id)
    assert not third.begin_again(why)
    assert third.beat() is None, "it still holds the job, and may say why it failed"


def test_a_worker_that_vanished_before_does_not_take_the_one_attempt_away(
    engine: Engine, job_id: int
) -> None:
    take(engine, job_id, lease_seconds=-1)
    with transaction(engine) as session:
        assert service.rescue_expired(session, max_attempts=3) == [job_id]
    assert take(engine, job_id).begin_again(Sentence.of("Killed."))


@pytest.mark.parametrize(
    ("asked", "state"), [(StopRequest.CANCEL, JobState.CANCELLED), (StopRequest.PAUSE, JobState.PAUSED)]
)
def test_a_killed_process_that_was_to_stop_is_not_begun_again(
    engine: Engine, job_id: int, asked: StopRequest, state: JobState
) -> None:
    mine = take(engine, job_id)
    with transaction(engine) as session:
        stopping.request_stop(session, job_id, asked)
    assert mine.begin_again(Sentence.of("Killed."))
    with reading(engine) as session:
        assert session.get_one(Job, job_id).state is state
