"""All of the queue at one moment: what runs where, what waits in which order and until when, and who works on it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session, col, select

from app.core.database import utc_now
from app.jobs.bell import kinds_beside, queue_of
from app.jobs.claiming import NEEDS_DEVICE, is_served, queue_pause, waiting_jobs
from app.jobs.devices import CPU
from app.jobs.events import EventKind, ProgressPayload
from app.jobs.models import Job, JobKind, JobState, QueuePause, Worker
from app.jobs.newest import last_events
from app.jobs.workers import living_workers, lost_workers
from app.queue.durations import Durations
from app.queue.forecast import Ask, Expected, Room, forecast
from app.queue.subjects import Subject, subjects_of
from app.runs.waiting import WaitsFor
from app.sentences import N_, Sentence

# Chats are nobody else's business, and wait for nothing.
SHOWN: Final = tuple(kind for kind in JobKind if kind is not JobKind.CHAT)
PAUSED: Final = N_("The queue is paused: no new work starts.")
_NO_WORKER: Final = N_("No worker that does this is running, so it waits.")
_NO_DEVICE: Final = N_("No worker has the device “%(device)s”, so it waits.")
_UNKNOWN: Final = N_("Nobody knows yet how long what is before it takes.")


@dataclass(frozen=True)
class RunningJob:
    """A job under way. `left` in seconds, `ends_at` where that is known."""

    job: Job
    subject: Subject
    worker: Worker | None
    progress: ProgressPayload | None
    left: float | None
    ends_at: datetime | None


@dataclass(frozen=True)
class PausedJob:
    """A job that waits for a person's word, and how far it is where it had begun."""

    job: Job
    subject: Subject
    progress: ProgressPayload | None


@dataclass(frozen=True)
class WaitingJob:
    """A job that waits: its place in its queue from 1, and what is expected. `up`, `down`: whether it can be moved there."""

    job: Job
    subject: Subject
    waits: WaitsFor
    seconds: float | None
    up: bool
    down: bool


@dataclass(frozen=True)
class Board:
    """Everything, in the order in which it is done. `waiting` by the name of the queue."""

    at: datetime
    pause: QueuePause | None
    running: list[RunningJob]
    paused: list[PausedJob]
    waiting: dict[str, list[WaitingJob]]
    workers: list[Worker]
    lost: list[Worker] = field(default_factory=list)


def read_board(session: Session) -> Board:
    """The queue as it is now."""
    now, pause, workers = utc_now(), queue_pause(session), living_workers(session)
    durations = Durations(session)
    running = _running(session, durations, workers, now)
    waiting: dict[str, list[WaitingJob]] = {}
    for kinds in dict.fromkeys(kinds_beside(kind) for kind in (JobKind.TRAIN, JobKind.CHECK_MASKS)):
        jobs = waiting_jobs(session, kinds)
        expected = _expected(durations, jobs, workers, running, pause, now)
        subjects = subjects_of(session, jobs)
        waiting[queue_of(kinds[0])] = [
            WaitingJob(
                job,
                subjects.get(job.id or 0, Subject()),
                told,
                seconds,
                up=at > 0 and jobs[at - 1].rank == job.rank,
                down=at + 1 < len(jobs) and jobs[at + 1].rank == job.rank,
            )
            for at, (job, (told, seconds)) in enumerate(zip(jobs, expected, strict=True))
        ]
    return Board(now, pause, running, _paused(session), waiting, workers, lost_workers(session))


def _paused(session: Session) -> list[PausedJob]:
    jobs = list(session.exec(select(Job).where(Job.state == JobState.PAUSED).order_by(col(Job.id))))
    events = last_events(session, [job.id or 0 for job in jobs], (EventKind.PROGRESS,))
    subjects = subjects_of(session, jobs)
    return [
        PausedJob(
            job,
            subjects.get(job.id or 0, Subject()),
            events.get((job.id or 0, EventKind.PROGRESS)),  # type: ignore[arg-type]
        )
        for job in jobs
    ]


def _running(
    session: Session, durations: Durations, workers: Sequence[Worker], now: datetime
) -> list[RunningJob]:
    statement = select(Job).where(Job.state == JobState.RUNNING, col(Job.kind).in_(SHOWN))
    jobs = list(session.exec(statement.order_by(col(Job.started_at), col(Job.id))))
    events = last_events(session, [job.id or 0 for job in jobs], (EventKind.PROGRESS,))
    subjects, by_id = subjects_of(session, jobs), {worker.id: worker for worker in workers}
    found = []
    for job in jobs:
        left = durations.left(job, events, now)
        found.append(
            RunningJob(
                job,
                subjects.get(job.id or 0, Subject()),
                by_id.get(job.worker_id),
                events.get((job.id or 0, EventKind.PROGRESS)),  # type: ignore[arg-type]
                left,
                None if left is None else now + timedelta(seconds=left),
            )
        )
    return found


def _expected(
    durations: Durations,
    jobs: Sequence[Job],
    workers: Sequence[Worker],
    running: Sequence[RunningJob],
    pause: QueuePause | None,
    now: datetime,
) -> list[tuple[WaitsFor, float | None]]:
    """Of jobs of one queue, in order: what each waits for, and how many seconds it takes."""
    if not jobs:
        return []
    kind = jobs[0].kind
    serving = [worker for worker in workers if is_served(kind, worker.queues)]
    rooms = _rooms(serving, running, kind)
    asks = [Ask(job.device_wanted, durations.of(job)) for job in jobs]
    told = forecast(asks, rooms)
    found = []
    for position, (job, ask, one) in enumerate(zip(jobs, asks, told, strict=True), 1):
        why = _why_unknown(job, one, pause, has_worker=bool(serving))
        begins, ends = (None, None) if why else (one.begins_in, one.ends_in)
        waits = WaitsFor(position, _moment(now, begins), _moment(now, ends), why)
        found.append((waits, ask.seconds))
    return found


def _rooms(serving: Sequence[Worker], running: Sequence[RunningJob], kind: JobKind) -> list[Room]:
    """Where jobs of this queue run, each once, however many workers mean the same device."""
    if kind not in NEEDS_DEVICE:
        busy = [one.left for one in running if queue_of(one.job.kind) == queue_of(kind)]
        places = sum(worker.places for worker in serving)
        return [Room(left) for left in busy[:places]] + [Room(0.0)] * (places - len(busy))
    left_of = {one.job.device_slot: one.left for one in running}
    rooms: dict[str, Room] = {}
    for worker in serving:
        devices = worker.devices
        has_gpu = any(one.name != CPU for one in devices.devices)
        for wish in dict.fromkeys(one.name for one in devices.devices):
            for slot in devices.slots(wish):
                free_in = left_of.get(slot.key, 0.0)
                rooms[slot.key] = Room(free_in, slot.device, has_gpu and slot.device == CPU)
    return list(rooms.values())


def _why_unknown(job: Job, one: Expected, pause: QueuePause | None, *, has_worker: bool) -> Sentence | None:
    if pause is not None:
        return Sentence(PAUSED)
    if not has_worker:
        return Sentence(_NO_WORKER)
    if not one.has_room:
        return Sentence.of(_NO_DEVICE, device=job.device_wanted)
    return None if one.begins_in is not None else Sentence(_UNKNOWN)


def _moment(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)
