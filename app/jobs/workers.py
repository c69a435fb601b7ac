"""Workers that tell they are there: who serves what, on which devices, and when they were last seen."""

import os
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete, update
from sqlmodel import Session, col, select

from app.core.database import database_now
from app.core.errors import Invalid
from app.jobs.bell import queue_of
from app.jobs.devices import ANY, Devices, WorkerDevice, parse_wish
from app.jobs.models import JobKind, Worker
from app.sentences import N_

# A worker tells this often that it lives, and is taken for gone after so long without a word.
BEAT_SECONDS: Final = 5.0
GONE_SECONDS: Final = 30.0
_FORGOTTEN_HOURS: Final = 24


@dataclass(frozen=True)
class Presence:
    """What a worker tells of itself."""

    name: str
    queues: str
    places: int
    devices: Devices


def tell_presence(session: Session, presence: Presence, worker_id: int | None) -> int:
    """The worker lives. The id of its row, which is made at the first time, and where it was forgotten meanwhile."""
    now = database_now(session)
    if worker_id is not None:
        told = update(Worker).where(col(Worker.id) == worker_id).values(seen_at=now)
        if cast(CursorResult[Any], session.execute(told)).rowcount:
            return worker_id
    session.execute(delete(Worker).where(col(Worker.seen_at) < now - timedelta(hours=_FORGOTTEN_HOURS)))
    worker = Worker(
        name=presence.name[:80],
        host=socket.gethostname()[:120],
        pid=os.getpid(),
        queues=presence.queues,
        places=presence.places,
        devices=presence.devices,
        started_at=now,
        seen_at=now,
    )
    session.add(worker)
    session.flush()
    assert worker.id is not None
    return worker.id


def sign_off(session: Session, worker_id: int) -> None:
    """The worker ends, and is listed no more."""
    session.execute(delete(Worker).where(col(Worker.id) == worker_id))


def living_workers(session: Session) -> list[Worker]:
    """Those that were seen lately, by name."""
    since = database_now(session) - timedelta(seconds=GONE_SECONDS)
    statement = select(Worker).where(col(Worker.seen_at) >= since)
    return list(session.exec(statement.order_by(col(Worker.host), col(Worker.name), col(Worker.id))))


def lost_workers(session: Session) -> list[Worker]:
    """Those that went silent without signing off, within the last day."""
    since = database_now(session) - timedelta(seconds=GONE_SECONDS)
    statement = select(Worker).where(col(Worker.seen_at) < since)
    return list(session.exec(statement.order_by(col(Worker.host), col(Worker.name), col(Worker.id))))


def devices_of_workers(session: Session) -> list[WorkerDevice]:
    """What living workers train on, each name once, in their order."""
    found: dict[str, WorkerDevice] = {}
    for device in every_device(session):
        found.setdefault(device.name, device)
    return [found[name] for name in sorted(found)]


def every_device(session: Session) -> list[WorkerDevice]:
    """What each living worker trains on, whatever the others have."""
    queue = queue_of(JobKind.TRAIN)
    workers = [worker for worker in living_workers(session) if queue in worker.queues.split(",")]
    return [device for worker in workers for device in worker.devices.devices]


def require_wish(session: Session, text: str) -> str:
    """Where a job may run, as it is stored. Raises Invalid for what is none, and for what no living worker has; where none
    lives at all, nobody knows.
    """
    wish = parse_wish(text)
    there = devices_of_workers(session)
    if wish != ANY and there and not Devices(devices=there).fitting(wish):
        raise Invalid(
            N_("No worker has the device “%(device)s”. There are: %(devices)s."),
            field="device",
            device=wish,
            devices=", ".join(device.name for device in there),
        )
    return wish
