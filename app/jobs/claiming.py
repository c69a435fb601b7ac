"""The order of the queue as workers keep to it: whoever hears a bell takes the first waiting job that it can do.

A bell names a job, but only says that there is work: a worker that hears it begins the earliest of that queue. Jobs that
train or judge need room on a device, and a unique column of the database sees to it that no two have the same.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from app.jobs.bell import queue_of
from app.jobs.devices import Devices, Slot
from app.jobs.models import Job, JobKind, JobState, QueuePause
from app.jobs.service import Claim, claim

IN_ORDER: Final = (col(Job.rank), col(Job.place), col(Job.id))
# Kinds that load a model to train or judge it: one at a time on a device.
NEEDS_DEVICE: Final = frozenset({JobKind.TRAIN, JobKind.EVALUATE})
# A person waits for a chat's answer, which takes seconds: a pause of the queue is not about it.
NEVER_PAUSED: Final = frozenset({JobKind.CHAT})


@dataclass(frozen=True)
class Seat:
    """Who takes a job: a worker with what it has. Without `devices` nothing is asked of them."""

    owner: str
    worker_id: int | None = None
    devices: Devices | None = None


@dataclass
class _Free:
    """Room on a worker's devices, by wish; what turned out to be taken is left out."""

    devices: Devices
    taken: set[str] = field(default_factory=set)

    def slots(self, wish: str) -> list[Slot]:
        return [slot for slot in self.devices.slots(wish) if slot.key not in self.taken]


def queue_pause(session: Session) -> QueuePause | None:
    """Who paused the queue, when and why; None while it goes on."""
    return session.exec(select(QueuePause).order_by(col(QueuePause.id)).limit(1)).first()


def waiting_jobs(session: Session, kinds: Collection[JobKind]) -> list[Job]:
    """Queued jobs of these kinds, the next one first."""
    statement = select(Job).where(Job.state == JobState.QUEUED, col(Job.kind).in_(kinds))
    return list(session.exec(statement.order_by(*IN_ORDER)))


def claim_next(
    session: Session, kinds: Collection[JobKind], seat: Seat, *, lease_seconds: float
) -> Claim | None:
    """Take the first waiting job of these kinds that there is room for. None when there is none."""
    free = _free_of(session, seat)
    for waiting in _candidates(session, kinds):
        mine = _take(session, waiting, seat, free, lease_seconds)
        if mine is not None:
            return mine
    return None


def takeable(session: Session, kinds: Collection[JobKind], seat: Seat, limit: int) -> list[Job]:
    """The first waiting jobs that this worker could begin now, at most `limit`."""
    free = _free_of(session, seat)
    found: list[int] = []
    for job_id, kind, wish in _candidates(session, kinds):
        if len(found) >= limit:
            break
        if free is not None and kind in NEEDS_DEVICE:
            slot = next(iter(free.slots(wish)), None)
            if slot is None:
                continue
            free.taken.add(slot.key)
        found.append(job_id)
    return [session.get_one(Job, job_id) for job_id in found]


def is_served(kind: JobKind, queues: str) -> bool:
    """Whether a worker that serves these queues does such jobs."""
    return queue_of(kind) in queues.split(",")


def _candidates(session: Session, kinds: Collection[JobKind]) -> list[tuple[int, JobKind, str]]:
    """Id, kind and wish of the jobs that may begin, in order."""
    begun = NEVER_PAUSED.intersection(kinds) if queue_pause(session) else kinds
    statement = select(col(Job.id), col(Job.kind), Job.device_wanted).where(
        Job.state == JobState.QUEUED, col(Job.kind).in_(begun)
    )
    return [
        (job_id, JobKind(kind), wish)
        for job_id, kind, wish in session.exec(statement.order_by(*IN_ORDER))
        if job_id is not None
    ]


def _free_of(session: Session, seat: Seat) -> _Free | None:
    if seat.devices is None:
        return None
    taken = session.exec(select(Job.device_slot).where(col(Job.device_slot).is_not(None)))
    return _Free(seat.devices, {key for key in taken if key})


def _take(
    session: Session, waiting: tuple[int, JobKind, str], seat: Seat, free: _Free | None, lease_seconds: float
) -> Claim | None:
    job_id, kind, wish = waiting
    take = partial(
        claim, session, job_id, owner=seat.owner, lease_seconds=lease_seconds, worker_id=seat.worker_id
    )
    if free is None or kind not in NEEDS_DEVICE:
        return take()
    while slot := next(iter(free.slots(wish)), None):
        try:
            with session.begin_nested():
                return take(slot=slot)
        except IntegrityError:
            # Another worker was faster on this device.
            free.taken.add(slot.key)
    return None
