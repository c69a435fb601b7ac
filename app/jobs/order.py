"""Changing the order of what waits, and pausing all of it. Places are of one queue and one priority."""

from enum import StrEnum
from typing import Final

from sqlalchemy import delete
from sqlmodel import Session, col, select

from app.accounts.service import Actor, record
from app.core.errors import Conflict
from app.jobs.bell import kinds_beside, ring_after_commit
from app.jobs.claiming import queue_pause, waiting_jobs
from app.jobs.models import Job, JobKind, JobState, Priority, QueuePause
from app.jobs.service import require_job
from app.sentences import N_

REASON_LENGTH: Final = 200
_BEGUN: Final = N_("Job %(id)d does not wait any more, so its place cannot be changed.")
_FIRST: Final = N_("Job %(id)d is the first of its priority. Give it a higher one to begin it sooner.")
_LAST: Final = N_("Job %(id)d is the last of its priority. Give it a lower one to begin it later.")


class Move(StrEnum):
    """Where a waiting job goes among those of its priority."""

    UP = "up"
    DOWN = "down"
    TOP = "top"


def move(session: Session, actor: Actor, job_id: int, where: Move) -> Job:
    """Change places with a neighbour, or become the first. Raises Conflict where the job waits no more or is there already."""
    job, waiting = _waiting(session, job_id)
    group = [one for one in waiting if one.rank == job.rank]
    at = group.index(job)
    if where is Move.DOWN and at == len(group) - 1:
        raise Conflict(_LAST, id=job_id)
    if where is not Move.DOWN and at == 0:
        raise Conflict(_FIRST, id=job_id)
    places = [one.place for one in group]
    group.insert({Move.UP: at - 1, Move.DOWN: at + 1, Move.TOP: 0}[where], group.pop(at))
    _sit(session, group, places)
    record(session, actor, f"job.move_{where.value}", f"job/{job_id}")
    session.flush()
    return job


def _sit(session: Session, group: list[Job], places: list[int]) -> None:
    """In this order on these places. Two may have had the same, from different priorities: the earlier one moves further up,
    since those below are for jobs to come.
    """
    below = places[-1] + 1
    for job, place in zip(reversed(group), reversed(places), strict=True):
        below = min(place, below - 1)
        if job.place != below:
            job.place = below
            session.add(job)


def set_priority(session: Session, actor: Actor, job_id: int, priority: Priority) -> Job:
    """Begin it before or after those of other priorities. Raises Conflict where the job waits no more."""
    job, _others = _waiting(session, job_id)
    if job.priority is not priority:
        job.rank = priority.rank
        session.add(job)
        record(session, actor, f"job.priority_{priority.value}", f"job/{job_id}")
        session.flush()
    return job


def pause(session: Session, actor: Actor, reason: str) -> QueuePause:
    """Begin nothing any more but chats; what runs goes on. Pausing again keeps the first pause."""
    there = queue_pause(session)
    if there is not None:
        return there
    made = QueuePause(reason=reason.strip()[:REASON_LENGTH], **actor.who.columns())
    session.add(made)
    record(session, actor, "queue.pause", "queue")
    session.flush()
    return made


def resume(session: Session, actor: Actor) -> None:
    """Go on, at once. Harmless where nothing is paused."""
    if queue_pause(session) is None:
        return
    session.execute(delete(QueuePause))
    record(session, actor, "queue.resume", "queue")
    for job in waiting_jobs(session, tuple(JobKind)):
        ring_after_commit(session, job)


def _waiting(session: Session, job_id: int) -> tuple[Job, list[Job]]:
    """The job, and all that wait in its queue in order; nobody else changes them until the transaction ends."""
    kinds = kinds_beside(require_job(session, job_id).kind)
    # In the order of ids: two people who move jobs at once take turns.
    lock = (
        select(Job).where(col(Job.state) == JobState.QUEUED, col(Job.kind).in_(kinds)).order_by(col(Job.id))
    )
    session.exec(lock.with_for_update().execution_options(populate_existing=True)).all()
    waiting = waiting_jobs(session, kinds)
    job = next((one for one in waiting if one.id == job_id), None)
    if job is None:
        raise Conflict(_BEGUN, id=job_id)
    return job, waiting
