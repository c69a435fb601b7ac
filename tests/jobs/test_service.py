"""The queue's promises, on SQLite and on PostgreSQL."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from app.accounts.who import Who
from app.base_models.models import BaseModelSource, ModelEntry
from app.base_models.work import PreparePayload
from app.core.database import reading, transaction, utc_now
from app.core.errors import Conflict, NotFound
from app.core.i18n import use_locale
from app.jobs import service, stopping
from app.jobs.devices import Devices
from app.jobs.models import TRANSITIONS, Job, JobEvent, JobKind, JobState, StopRequest
from app.jobs.workers import Presence, living_workers, tell_presence
from app.runs.work import TrainPayload
from app.sentences import Failure


def enqueue(engine: Engine) -> int:
    with transaction(engine) as session:
        job = service.enqueue(session, JobKind.TRAIN, TrainPayload(run_id=1), created_by=Who("Mei"))
        assert job.id is not None
        return job.id


def claim(engine: Engine, job_id: int, *, lease: float = 30.0) -> service.Claim:
    with transaction(engine) as session:
        mine = service.claim(session, job_id, owner="worker", lease_seconds=lease)
    assert mine is not None
    return mine


def load(engine: Engine, job_id: int) -> Job:
    with reading(engine) as session:
        job = service.require_job(session, job_id)
        session.expunge(job)
        return job


def sequence(engine: Engine, job_id: int) -> list[int]:
    with reading(engine) as session:
        return list(
            session.exec(select(JobEvent.seq).where(JobEvent.job_id == job_id).order_by(JobEvent.seq))  # type: ignore[arg-type]
        )


def test_only_one_of_many_workers_gets_a_job(engine: Engine) -> None:
    job_id = enqueue(engine)
    won: list[service.Claim] = []
    barrier = threading.Barrier(6)

    def compete() -> None:
        barrier.wait(60)
        with transaction(engine) as session:
            mine = service.claim(session, job_id, owner="worker", lease_seconds=30)
        if mine:
            won.append(mine)

    threads = [threading.Thread(target=compete) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(won) == 1
    assert load(engine, job_id).attempt == 1


def test_a_job_and_the_row_that_it_is_about_name_one_another(engine: Engine) -> None:
    with transaction(engine) as session:
        for _ in range(2):  # so that their ids differ
            service.enqueue(session, JobKind.CHAT, created_by=Who("Mei"))
        row, job = service.enqueue_with(
            session,
            JobKind.PREPARE_BASE_MODEL,
            lambda job_id: ModelEntry(
                name="m", source=BaseModelSource.HUB, reference="a/m", job_id=job_id, **Who("Mei").columns()
            ),
            lambda model_id: PreparePayload(base_model_id=model_id),
            created_by=Who("Mei"),
        )
        assert row.job_id == job.id != row.id
    stored = load(engine, job.id or 0)
    assert (stored.asked(PreparePayload).base_model_id, stored.state) == (row.id, JobState.QUEUED)


def test_a_doubled_bell_for_an_ended_job_changes_nothing(engine: Engine) -> None:
    job_id = enqueue(engine)
    mine = claim(engine, job_id)
    with transaction(engine) as session:
        service.finish(session, mine, JobState.SUCCEEDED, result={"steps": 1})
    with transaction(engine) as session:
        assert service.claim(session, job_id, owner="other", lease_seconds=30) is None
    assert load(engine, job_id).state is JobState.SUCCEEDED


def test_a_heartbeat_extends_the_lease_and_stores_events_in_order(engine: Engine) -> None:
    job_id = enqueue(engine)
    mine = claim(engine, job_id, lease=1)
    before = load(engine, job_id).lease_expires_at
    with transaction(engine) as session:
        events = [("phase", {"phase": "training"}), ("metric", {"step": 1, "loss": 2.5})]
        assert service.heartbeat(session, mine, lease_seconds=60, events=events) is None
    job = load(engine, job_id)
    assert before is not None
    assert job.lease_expires_at is not None
    assert job.lease_expires_at > before
    assert (job.phase, job.status) == ("training", "training")
    assert sequence(engine, job_id) == [1, 2, 3, 4]


def test_a_worker_that_lost_its_lease_can_write_nothing(engine: Engine) -> None:
    job_id = enqueue(engine)
    late = claim(engine, job_id, lease=-1)
    with transaction(engine) as session:
        assert service.rescue_expired(session, max_attempts=3) == [job_id]
    current = claim(engine, job_id)
    count = load(engine, job_id).event_count
    for write in (
        lambda session: service.heartbeat(session, late, lease_seconds=30, events=[("metric", {"step": 9})]),
        lambda session: service.finish(session, late, JobState.SUCCEEDED, result={"steps": 9}),
        lambda session: service.release(session, late),
    ):
        with pytest.raises(service.LeaseLost), transaction(engine) as session:
            write(session)
    job = load(engine, job_id)
    assert (job.state, job.attempt, job.event_count, job.result) == (
        JobState.RUNNING,
        current.attempt,
        count,
        None,
    )


def test_only_expired_leases_are_rescued(engine: Engine) -> None:
    claim(engine, enqueue(engine), lease=60)
    with transaction(engine) as session:
        assert service.rescue_expired(session, max_attempts=3) == []


def test_a_job_whose_worker_keeps_vanishing_fails_with_that_reason(engine: Engine) -> None:
    job_id = enqueue(engine)
    for _ in range(2):
        claim(engine, job_id, lease=-1)
        with transaction(engine) as session:
            service.rescue_expired(session, max_attempts=2)
    job = load(engine, job_id)
    assert job.state is JobState.FAILED
    assert job.error_text.startswith("The worker vanished 2 times")
    with use_locale("zh-CN"):
        assert "2" in job.error_text
        assert "工作进程" in job.error_text


def test_attempts_that_left_a_checkpoint_do_not_count_and_those_after_them_do(engine: Engine) -> None:
    job_id = enqueue(engine)
    for step in range(1, 5):
        mine = claim(engine, job_id)
        with transaction(engine) as session:
            checkpoint = ("checkpoint", {"step": step, "path": f"checkpoint-{step}"})
            service.heartbeat(session, mine, lease_seconds=-1, events=[checkpoint])
        with transaction(engine) as session:
            assert service.rescue_expired(session, max_attempts=2) == [job_id]
    for state in (JobState.QUEUED, JobState.FAILED):
        claim(engine, job_id, lease=-1)
        with transaction(engine) as session:
            service.rescue_expired(session, max_attempts=2)
        assert load(engine, job_id).state is state


def test_attempts_handed_back_by_a_stopping_worker_do_not_count(engine: Engine) -> None:
    job_id = enqueue(engine)
    for _ in range(4):
        mine = claim(engine, job_id)
        with transaction(engine) as session:
            service.release(session, mine)
    claim(engine, job_id, lease=-1)
    with transaction(engine) as session:
        assert service.rescue_expired(session, max_attempts=2) == [job_id]


def test_a_rescued_job_that_was_to_be_cancelled_ends_cancelled(engine: Engine) -> None:
    job_id = enqueue(engine)
    claim(engine, job_id, lease=-1)
    with transaction(engine) as session:
        stopping.request_stop(session, job_id, StopRequest.CANCEL)
        assert service.rescue_expired(session, max_attempts=3) == []
    assert load(engine, job_id).state is JobState.CANCELLED


def test_a_stop_reaches_the_worker_with_its_next_heartbeat(engine: Engine) -> None:
    job_id = enqueue(engine)
    mine = claim(engine, job_id)
    with transaction(engine) as session:
        stopping.request_stop(session, job_id, StopRequest.SAVE)
    with transaction(engine) as session:
        assert service.heartbeat(session, mine, lease_seconds=30) is StopRequest.SAVE


def test_a_queued_job_is_cancelled_at_once_and_an_ended_one_refuses(engine: Engine) -> None:
    job_id = enqueue(engine)
    with transaction(engine) as session:
        assert stopping.request_stop(session, job_id, StopRequest.CANCEL).state is JobState.CANCELLED
    with pytest.raises(Conflict), transaction(engine) as session:
        stopping.request_stop(session, job_id, StopRequest.CANCEL)
    with pytest.raises(NotFound), transaction(engine) as session:
        stopping.request_stop(session, 999, StopRequest.CANCEL)


def test_numbers_that_json_does_not_know_are_stored_as_null(engine: Engine) -> None:
    job_id = enqueue(engine)
    mine = claim(engine, job_id)
    events = [
        ("metric", {"step": 1, "loss": float("nan"), "list": [float("inf"), 1.5]}),
        ("log", {"message": "a\0b"}),
    ]
    with transaction(engine) as session:
        service.heartbeat(session, mine, lease_seconds=30, events=events)
        service.finish(
            session,
            mine,
            JobState.FAILED,
            failure=Failure.of("unexpected", "a%(x)s", x="\0b", y=float("-inf")),
        )
    with reading(engine) as session:
        stored = [event.payload for event in service.events_after(session, job_id, 2)]
    assert stored[0] == {"step": 1, "loss": None, "list": [None, 1.5]}
    assert stored[1] == {"message": "ab"}
    assert load(engine, job_id).error_text == "ab"


def test_events_come_in_pages_without_gaps(engine: Engine) -> None:
    job_id = enqueue(engine)
    mine = claim(engine, job_id)
    with transaction(engine) as session:
        service.heartbeat(
            session, mine, lease_seconds=30, events=[("metric", {"step": n}) for n in range(20)]
        )
    seen: list[int] = []
    with reading(engine) as session:
        while page := service.events_after(session, job_id, seen[-1] if seen else 0, limit=7):
            seen += [event.seq for event in page]
    assert seen == list(range(1, 23))


def test_final_states_lead_nowhere() -> None:
    assert {state for state in JobState if state.is_final} == {
        JobState.SUCCEEDED,
        JobState.FAILED,
        JobState.CANCELLED,
    }
    assert all(not TRANSITIONS[state] for state in JobState if state.is_final)


def test_a_machine_whose_clock_is_ahead_takes_no_job_from_one_that_beats(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several machines share PostgreSQL; who shares SQLite is on one."""
    job_id = enqueue(engine)
    mine = claim(engine, job_id)
    presence = Presence("behind", "training", 1, Devices(devices=[]))
    with transaction(engine) as session:
        tell_presence(session, presence, None)
    a_clock_ahead(monkeypatch)
    expected = [job_id] if engine.dialect.name == "sqlite" else []
    with transaction(engine) as session:
        assert service.rescue_expired(session, max_attempts=3) == expected
        assert len(living_workers(session)) == 1 - len(expected)
    if not expected:
        with transaction(engine) as session:
            service.heartbeat(session, mine, lease_seconds=30)
        assert load(engine, job_id).state is JobState.RUNNING


def a_clock_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on this machine is an hour ahead of the others."""
    ahead = utc_now() + timedelta(hours=1)
    monkeypatch.setattr("app.core.database.utc_now", lambda: ahead)
