"""What REST reads and writes of the queue."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from app.accounts.who import CreatedByOut
from app.core.i18n import say
from app.jobs.devices import WorkerDevice
from app.jobs.events import ProgressPayload
from app.jobs.models import Priority, QueuePause, Worker
from app.jobs.order import REASON_LENGTH, Move
from app.jobs.schemas import JobOut
from app.queue.board import Board, PausedJob, RunningJob, WaitingJob
from app.queue.subjects import Subject


class MoveIn(BaseModel):
    """Where a waiting job goes among those of its priority."""

    model_config = ConfigDict(extra="forbid")

    where: Move


class PriorityIn(BaseModel):
    """A waiting job's priority."""

    model_config = ConfigDict(extra="forbid")

    priority: Priority


class PauseIn(BaseModel):
    """Why the queue is paused, for those who wait."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=REASON_LENGTH)


class PauseOut(CreatedByOut):
    """Who paused the queue, when and why."""

    reason: str
    created_at: datetime

    @classmethod
    def of(cls, pause: QueuePause) -> "PauseOut":
        """From the stored row."""
        return cls.model_validate(pause, from_attributes=True)


class WorkerOut(BaseModel):
    """A worker: what it serves, how many jobs at a time besides chats (`places`), and what it trains on."""

    id: int
    name: str
    host: str
    pid: int
    queues: list[str]
    places: int
    devices: list[WorkerDevice]
    jobs_each_device: int
    started_at: datetime
    seen_at: datetime
    is_alive: bool

    @classmethod
    def of(cls, worker: Worker, *, is_alive: bool) -> "WorkerOut":
        """From the stored row."""
        fields = worker.model_dump(exclude={"queues", "devices"})
        return cls(
            **fields,
            queues=worker.queues.split(","),
            devices=worker.devices.devices,
            jobs_each_device=worker.devices.jobs_each,
            is_alive=is_alive,
        )


class _AboutOut(BaseModel):
    job: JobOut
    title: str
    page: str | None

    @staticmethod
    def about(subject: Subject) -> dict[str, str | None]:
        return {"title": subject.title, "page": subject.href or None}

    @staticmethod
    def steps(progress: ProgressPayload | None) -> dict[str, int | None]:
        done, total = (progress["step"], progress["total_steps"]) if progress else (None, None)
        return {"step": done, "total_steps": total}


class RunningOut(_AboutOut):
    """A job under way, on which worker; `seconds_left` and `ends_at` are null where nobody knows."""

    worker: str | None
    step: int | None
    total_steps: int | None
    seconds_left: float | None
    ends_at: datetime | None

    @classmethod
    def of(cls, one: RunningJob) -> "RunningOut":
        """From the board."""
        return cls.model_validate(
            {
                **cls.about(one.subject),
                "job": JobOut.of(one.job),
                "worker": f"{one.worker.name}@{one.worker.host}" if one.worker else None,
                **cls.steps(one.progress),
                "seconds_left": one.left,
                "ends_at": one.ends_at,
            }
        )


class PausedOut(_AboutOut):
    """A job that waits until a person lets it go on; steps are null where it had not begun."""

    step: int | None
    total_steps: int | None

    @classmethod
    def of(cls, one: PausedJob) -> "PausedOut":
        """From the board."""
        return cls.model_validate(
            {
                **cls.about(one.subject),
                "job": JobOut.of(one.job),
                **cls.steps(one.progress),
            }
        )


class WaitingOut(_AboutOut):
    """A waiting job. `position` is its place in its queue, from 1; what nobody knows is null, and `why_unknown` says why it
    is not known when it starts."""

    queue: str
    position: int
    expected_seconds: float | None
    starts_at: datetime | None
    ends_at: datetime | None
    why_unknown: str | None

    @classmethod
    def of(cls, queue: str, one: WaitingJob) -> "WaitingOut":
        """From the board, in the reader's language."""
        why = one.waits.why_unknown
        return cls.model_validate(
            {
                **cls.about(one.subject),
                "job": JobOut.of(one.job),
                "queue": queue,
                "position": one.waits.position,
                "expected_seconds": one.seconds,
                "starts_at": one.waits.begins_at,
                "ends_at": one.waits.ends_at,
                "why_unknown": say(why) if why else None,
            }
        )


class QueueOut(BaseModel):
    """The queue at one moment. Workers that went silent without signing off come last, not alive."""

    at: datetime
    pause: PauseOut | None
    running: list[RunningOut]
    paused: list[PausedOut]
    waiting: list[WaitingOut]
    workers: list[WorkerOut]

    @classmethod
    def of(cls, board: Board) -> "QueueOut":
        """From the board."""
        alive = [WorkerOut.of(worker, is_alive=True) for worker in board.workers]
        return cls(
            at=board.at,
            pause=PauseOut.of(board.pause) if board.pause else None,
            running=[RunningOut.of(one) for one in board.running],
            paused=[PausedOut.of(one) for one in board.paused],
            waiting=[WaitingOut.of(queue, one) for queue, jobs in board.waiting.items() for one in jobs],
            workers=[*alive, *(WorkerOut.of(worker, is_alive=False) for worker in board.lost)],
        )
