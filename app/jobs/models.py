"""Tables of the queue and the states a job may pass through."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel

from app.accounts.who import CreatedBy
from app.core.database import enum_column, moment_column, utc_now
from app.core.documents import DocumentColumn
from app.core.i18n import say
from app.jobs.devices import Devices
from app.jobs.events import Phase
from app.jobs.work import JobPayload
from app.sentences import Failure

PayloadT = TypeVar("PayloadT", bound=JobPayload)


class JobKind(StrEnum):
    """What the worker is asked to do; each kind has one handler."""

    IMPORT = "import"
    PREPARE_BASE_MODEL = "prepare_base_model"
    CHECK_MASKS = "check_masks"
    TRAIN = "train"
    EVALUATE = "evaluate"
    CHAT = "chat"
    EXPORT = "export"
    PUSH = "push"


class JobState(StrEnum):
    """Where a job is. `phase` says more while it runs."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return not TRANSITIONS[self]


# The one table of allowed changes. RUNNING -> QUEUED is a rescue: the lease ran out. Who is paused holds no place of a
# worker, and waits until a person lets it go on.
TRANSITIONS: Final[dict[JobState, frozenset[JobState]]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: frozenset(
        {
            JobState.QUEUED,
            JobState.PAUSED,
            JobState.SUCCEEDED,
            JobState.FAILED,
            JobState.CANCELLED,
            JobState.RUNNING,
        }
    ),
    JobState.PAUSED: frozenset({JobState.QUEUED, JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


class StopRequest(StrEnum):
    """How a running job should end early, or for a while."""

    CANCEL = "cancel"
    SAVE = "save"
    PAUSE = "pause"


# What a running job shows instead of its phase. One that saves goes on with its step until that is done.
_ENDING: Final[dict[StopRequest | None, str]] = {
    StopRequest.CANCEL: "cancelling",
    StopRequest.PAUSE: "pausing",
}


class Priority(StrEnum):
    """Which of two waiting jobs is begun first, whatever their places."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """As stored: the lower, the sooner."""
        return list(Priority).index(self) - 1


class Job(CreatedBy, table=True):
    """One promise of work. `payload` is the JobPayload of its kind as JSON: `asks` writes it, `asked` reads it.

    Waiting jobs are begun in the order of (`rank`, `place`, `id`); a job that comes back from a lost worker keeps all three.
    """

    __tablename__ = "job"
    __table_args__ = (
        Index("ix_job_state_kind", "state", "kind"),
        Index("ix_job_announced", "announced", "state"),
        Index("uq_job_device_slot", "device_slot", unique=True),
    )

    id: int | None = Field(default=None, primary_key=True)
    kind: JobKind = Field(sa_column=enum_column(JobKind))
    state: JobState = Field(default=JobState.QUEUED, sa_column=enum_column(JobState))
    phase: str = Field(default="", max_length=40)
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    result: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    # Why it failed: a `Failure` as JSON, translated when shown.
    failure: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True), nullable=True)
    )
    attempt: int = 0
    # Attempts handed back by a worker that was told to stop, or paused; they do not count as failures.
    releases: int = 0
    # Of the attempts that are over: what was waited and paused between them is in none.
    worked_seconds: float = 0.0
    owner: str | None = Field(default=None, max_length=120)
    lease_expires_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    stop_requested: StopRequest | None = Field(
        default=None, sa_column=enum_column(StopRequest, nullable=True)
    )
    event_count: int = 0
    # Of its priority.
    rank: int = 0
    # Its own id, unless somebody moved it.
    place: int = 0
    # Where it may run: any, cpu, cuda or cuda:1. And where it runs or ran: cpu or cuda:1.
    device_wanted: str = Field(default="any", max_length=20)
    device: str | None = Field(default=None, max_length=20)
    # While it runs on a device: unique, so that no two jobs are ever on one.
    device_slot: str | None = Field(default=None, max_length=120)
    # Who runs it or ran it: a `worker` row, which goes when the worker has long been gone.
    worker_id: int | None = None
    # Whether people and programs were told that it has ended.
    announced: bool = False
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    started_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))
    finished_at: datetime | None = Field(default=None, sa_column=moment_column(nullable=True))

    def asked(self, model: type[PayloadT]) -> PayloadT:
        """What is asked for; `model` is the payload of the job's kind."""
        return model.stored(self.payload)

    @property
    def priority(self) -> Priority:
        """Its rank, as people name it."""
        return next(priority for priority in Priority if priority.rank == self.rank)

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.state.is_final

    def seconds_worked(self, now: datetime) -> float | None:
        """How long workers have been at it until now, without what was waited or paused; None before the first began."""
        if self.started_at is None:
            return None
        if self.state is JobState.RUNNING:
            return self.worked_seconds + (now - self.started_at).total_seconds()
        if self.finished_at is not None and not self.worked_seconds:
            # It ended before this was counted: its last attempt.
            return (self.finished_at - self.started_at).total_seconds()
        return self.worked_seconds

    @property
    def error_code(self) -> str | None:
        """Why it failed, for programs (`FailureCode`); None when it did not."""
        return str(self.failure["code"]) if self.failure else None

    @property
    def error_text(self) -> str:
        """Why it failed, in the reader's language; empty when it did not."""
        return say(Failure.from_json(self.failure).sentence) if self.failure else ""

    @property
    def status(self) -> str:
        """State as shown: the phase while running, `cancelling` or `pausing` once that was asked for."""
        if self.state is JobState.RUNNING:
            return _ENDING.get(self.stop_requested) or self.phase or Phase.PREPARING.value
        return self.state.value


class JobEvent(SQLModel, table=True):
    """Append-only: what happened, numbered 1..n within its job."""

    __tablename__ = "job_event"

    job_id: int = Field(foreign_key="job.id", primary_key=True, ondelete="CASCADE")
    seq: int = Field(primary_key=True)
    kind: str = Field(max_length=30)
    payload: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())


class Worker(SQLModel, table=True):
    """A worker process, by its own account: what it serves and what it has. Alive while it is seen every few seconds."""

    __tablename__ = "worker"

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=80)
    host: str = Field(max_length=120)
    pid: int
    # Names of queues, with commas between them.
    queues: str = Field(max_length=80)
    # How many jobs at the same time, chats aside.
    places: int
    devices: Devices = Field(sa_column=Column(DocumentColumn(Devices), nullable=False))
    started_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
    seen_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())


class QueuePause(CreatedBy, table=True):
    """While there is such a row no work begins but chats."""

    __tablename__ = "queue_pause"

    id: int | None = Field(default=None, primary_key=True)
    reason: str = Field(default="", max_length=200)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment_column())
