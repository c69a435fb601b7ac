"""What people ask of a job under way, whatever a worker does meanwhile."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from app.accounts.who import Who
from app.core.database import transaction, utc_now
from app.core.errors import Conflict, Invalid
from app.jobs import service, stopping
from app.jobs.claiming import waiting_jobs
from app.jobs.models import Job, JobKind, JobState, StopRequest
from tests.jobs.test_service import claim, enqueue, load


def asked(engine: Engine, job_id: int, how: StopRequest) -> Job:
    with transaction(engine) as session:
        job = stopping.request_stop(session, job_id, how)
        session.expunge(job)
        return job


CHECKPOINT = ("checkpoint", {"step": 4, "path": "jobs/1/1/checkpoints/checkpoint-4"})


def test_a_paused_job_leaves_its_place_and_waits_until_somebody_lets_it_go_on(engine: Engine) -> None:
    job_id = enqueue(engine)
    mine = claim(engine, job_id)
    assert asked(engine, job_id, StopRequest.PAUSE).status == "pausing"
    with pytest.raises(Conflict, match="being paused"), transaction(engine) as session:
        stopping.resume(session, job_id)
    with transaction(engine) as session:
        assert service.pause(session, mine, events=[CHECKPOINT]) is JobState.PAUSED
    paused = load(engine, job_id)
    assert (paused.status, paused.stop_requested, paused.is_final, paused.owner) == (
        "paused",
        None,
        False,
        None,
    )
    assert paused.worked_seconds == paused.seconds_worked(utc_now() + timedelta(days=9)) > 0
    with transaction(engine) as session:
        assert service.rescue_expired(session, max_attempts=1) == []
        assert waiting_jobs(session, [JobKind.TRAIN]) == []
        assert service.claim(session, job_id, owner="w", lease_seconds=30) is None
    with pytest.raises(Conflict, match="paused already"):
        asked(engine, job_id, StopRequest.PAUSE)
    with transaction(engine) as session:
        assert stopping.resume(session, job_id).state is JobState.QUEUED
    with pytest.raises(Conflict, match="not paused"), transaction(engine) as session:
        stopping.resume(session, job_id)
    # A pause is no failure: it uses up none of the attempts.
    claim(engine, job_id, lease=-1)
    with transaction(engine) as session:
        assert service.rescue_expired(session, max_attempts=2) == [job_id]


@pytest.mark.parametrize(
    ("how", "checkpointed", "state"),
    [
        (StopRequest.CANCEL, True, JobState.CANCELLED),
        (StopRequest.CANCEL, False, JobState.CANCELLED),
        (StopRequest.SAVE, True, JobState.QUEUED),
    ],
)
def test_a_paused_job_is_cancelled_at_once_or_kept_by_the_next_worker(
    engine: Engine, how: StopRequest, checkpointed: bool, state: JobState
) -> None:
    job_id = enqueue(engine)
    mine = claim(engine, job_id)
    asked(engine, job_id, StopRequest.PAUSE)
    with transaction(engine) as session:
        service.pause(session, mine, events=[CHECKPOINT] if checkpointed else [])
    job = asked(engine, job_id, how)
    assert (job.state, job.stop_requested) == (state, how)


def test_nothing_is_kept_of_a_job_that_paused_before_its_first_checkpoint(engine: Engine) -> None:
    job_id = enqueue(engine)
    assert asked(engine, job_id, StopRequest.PAUSE).state is JobState.PAUSED
    with pytest.raises(Conflict, match="nothing to keep"):
        asked(engine, job_id, StopRequest.SAVE)


@pytest.mark.parametrize(
    ("then", "state"),
    [
        (None, JobState.PAUSED),
        (StopRequest.SAVE, JobState.QUEUED),
        (StopRequest.CANCEL, JobState.CANCELLED),
    ],
)
def test_whatever_ends_an_attempt_that_was_to_pause_meets_the_last_wish(
    engine: Engine, then: StopRequest | None, state: JobState
) -> None:
    for end in ("paused", "vanished"):
        job_id = enqueue(engine)
        mine = claim(engine, job_id, lease=-1)
        asked(engine, job_id, StopRequest.PAUSE)
        if then is not None:
            asked(engine, job_id, then)
            with pytest.raises(Conflict, match="asked to end"):
                asked(engine, job_id, StopRequest.PAUSE)
        with transaction(engine) as session:
            if end == "paused":
                service.pause(session, mine)
            else:
                service.rescue_expired(session, max_attempts=3)
        assert load(engine, job_id).state is state


def test_only_runs_pause(engine: Engine) -> None:
    with transaction(engine) as session:
        job = service.enqueue(session, JobKind.CHECK_MASKS, created_by=Who("Mei"))
        with pytest.raises(Invalid, match="Only runs"):
            stopping.request_stop(session, job.id or 0, StopRequest.PAUSE)
