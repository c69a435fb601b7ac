"""Bells ring by themselves: for every promise that is committed, from wherever it was made."""

from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.accounts.who import Who
from app.core.database import transaction
from app.core.settings import Settings
from app.jobs import service
from app.jobs.bell import hang_bell
from app.jobs.models import JobKind, JobState
from tests.support.servers import free_port

Rung = list[tuple[int, JobKind]]


@pytest.fixture
def rung(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rung:
    """What the bell of this database was rung for."""
    heard: Rung = []
    monkeypatch.setattr("app.jobs.bell.ring", lambda _settings, job_id, kind: heard.append((job_id, kind)))
    hang_bell(engine, Settings(data_dir=tmp_path / "data"))
    return heard


def promise(engine: Engine, kind: JobKind = JobKind.TRAIN) -> int:
    with transaction(engine) as session:
        job_id = service.enqueue(session, kind, created_by=Who("Mei")).id
    assert job_id is not None
    return job_id


def claim(engine: Engine, job_id: int, lease_seconds: float = 30) -> service.Claim:
    with transaction(engine) as session:
        mine = service.claim(session, job_id, owner="worker", lease_seconds=lease_seconds)
    assert mine is not None
    return mine


def test_a_promise_rings_once_it_is_committed(engine: Engine, rung: Rung) -> None:
    with transaction(engine) as session:
        job = service.enqueue(session, JobKind.CHAT, created_by=Who("Mei"))
        assert rung == []
    assert rung == [(job.id, JobKind.CHAT)]


def test_a_promise_that_is_taken_back_rings_for_nobody(engine: Engine, rung: Rung) -> None:
    with suppress(ZeroDivisionError), transaction(engine) as session:
        service.enqueue(session, JobKind.CHAT, created_by=Who("Mei"))
        raise ZeroDivisionError
    assert rung == []


def test_what_follows_from_a_job_rings_when_the_end_of_the_job_is_stored(engine: Engine, rung: Rung) -> None:
    mine = claim(engine, promise(engine))
    rung.clear()
    with transaction(engine) as session:
        service.finish(session, mine, JobState.SUCCEEDED, result={})
        follower = service.enqueue(session, JobKind.EVALUATE, created_by=Who("Mei"))
        assert rung == []
    assert rung == [(follower.id, JobKind.EVALUATE)]


def test_a_job_that_is_handed_back_or_rescued_rings_again(engine: Engine, rung: Rung) -> None:
    job_id = promise(engine)
    first = claim(engine, job_id)
    with transaction(engine) as session:
        service.release(session, first)
    claim(engine, job_id, lease_seconds=-1)
    with transaction(engine) as session:
        assert service.rescue_expired(session, max_attempts=3) == [job_id]
    assert rung == [(job_id, JobKind.TRAIN)] * 3


def test_a_database_without_a_bell_leaves_its_jobs_to_the_reconciler(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: Rung = []
    monkeypatch.setattr("app.jobs.bell.ring", lambda _settings, job_id, kind: heard.append((job_id, kind)))
    promise(engine)
    assert heard == []


def test_a_broker_out_of_reach_takes_nothing_back(engine: Engine, tmp_path: Path) -> None:
    hang_bell(engine, Settings(data_dir=tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0"))
    job_id = promise(engine)
    with transaction(engine) as session:
        assert service.require_job(session, job_id).state is JobState.QUEUED
