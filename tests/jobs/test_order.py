"""Moving what waits, its priority, and pausing all of it."""

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from app.accounts.models import AuditEvent, Role
from app.accounts.service import Actor
from app.core.database import transaction
from app.core.errors import Conflict, NotFound
from app.jobs import order, service
from app.jobs.bell import kinds_beside
from app.jobs.claiming import queue_pause, waiting_jobs
from app.jobs.models import JobKind, Priority
from app.jobs.order import Move

ENGINEER = Actor(1, "Mei", Role.ENGINEER, "session")


@pytest.fixture
def jobs(engine: Engine) -> list[int]:
    """Four runs in the queue, and a check beside them."""
    with transaction(engine) as session:
        kinds = [JobKind.TRAIN, JobKind.CHECK_MASKS, *[JobKind.TRAIN] * 3]
        made = [service.enqueue(session, kind, created_by=ENGINEER.who) for kind in kinds]
        return [job.id or 0 for job in made if job.kind is JobKind.TRAIN]


def waiting(engine: Engine) -> list[int]:
    with transaction(engine) as session:
        return [job.id or 0 for job in waiting_jobs(session, kinds_beside(JobKind.TRAIN))]


def move(engine: Engine, job_id: int, where: Move) -> None:
    with transaction(engine) as session:
        order.move(session, ENGINEER, job_id, where)


def test_a_job_moves_among_those_of_its_priority(engine: Engine, jobs: list[int]) -> None:
    a, b, c, d = jobs
    move(engine, c, Move.UP)
    assert waiting(engine) == [a, c, b, d]
    move(engine, d, Move.TOP)
    assert waiting(engine) == [d, a, c, b]
    move(engine, d, Move.DOWN)
    assert waiting(engine) == [a, d, c, b]
    with transaction(engine) as session:
        order.set_priority(session, ENGINEER, b, Priority.HIGH)
    assert waiting(engine) == [b, a, d, c]
    for job_id, where in ((b, Move.UP), (b, Move.TOP), (a, Move.UP), (c, Move.DOWN)):
        with pytest.raises(Conflict, match="of its priority"):
            move(engine, job_id, where)
    with transaction(engine) as session:
        new = service.enqueue(session, JobKind.TRAIN, created_by=ENGINEER.who).id
        told = set(session.exec(select(AuditEvent.action)))
    assert waiting(engine)[-1] == new, "what comes later waits behind all of its priority"
    assert told == {"job.move_up", "job.move_top", "job.move_down", "job.priority_high"}


def test_jobs_that_came_to_one_place_by_their_priorities_can_be_told_apart(
    engine: Engine, jobs: list[int]
) -> None:
    a, b, c, d = jobs
    for job_id in (c, d):
        move(engine, job_id, Move.TOP)
    with transaction(engine) as session:
        for job_id in (a, b):
            order.set_priority(session, ENGINEER, job_id, Priority.LOW)
        order.set_priority(session, ENGINEER, d, Priority.LOW)
    assert waiting(engine) == [c, d, a, b]
    move(engine, a, Move.UP)
    move(engine, b, Move.UP)
    assert waiting(engine) == [c, a, b, d]


def test_what_has_begun_or_never_was_cannot_be_moved(engine: Engine, jobs: list[int]) -> None:
    with transaction(engine) as session:
        service.claim(session, jobs[0], owner="w", lease_seconds=30)
    with pytest.raises(Conflict, match="does not wait"):
        move(engine, jobs[0], Move.DOWN)
    with pytest.raises(Conflict, match="does not wait"), transaction(engine) as session:
        order.set_priority(session, ENGINEER, jobs[0], Priority.LOW)
    with pytest.raises(NotFound):
        move(engine, 999, Move.UP)


def test_pausing_keeps_who_did_it_first_and_going_on_rings_for_what_waits(
    engine: Engine, jobs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[int] = []
    monkeypatch.setattr(order, "ring_after_commit", lambda _session, job: rung.append(job.id))
    with transaction(engine) as session:
        order.pause(session, ENGINEER, " new cards ")
        assert order.pause(session, Actor(2, "Bo", Role.ADMIN, "session"), "").created_by == "Mei"
    with transaction(engine) as session:
        pause = queue_pause(session)
        assert pause is not None
        assert pause.reason == "new cards"
        order.resume(session, ENGINEER)
        order.resume(session, ENGINEER)
    with transaction(engine) as session:
        assert queue_pause(session) is None
    assert set(jobs) < set(rung)
