"""Rules of the queue: enqueue, claim, heartbeat, finish, pause, rescue; stopping.py has what people ask of a job under way.

Every write a worker makes is fenced by (id, attempt, state): a worker that lost its lease changes nothing. Leases end by the
database's clock, so that a machine whose own is wrong takes nobody's job away.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar, cast

from sqlalchemy import CursorResult, update
from sqlmodel import Session, col, func, select

from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.accounts.who import Who
from app.core.database import database_now
from app.core.errors import NotFound
from app.jobs.bell import ring_after_commit
from app.jobs.devices import ANY, Slot
from app.jobs.events import EVENTS_AT_ONCE, EventKind, Phase
from app.jobs.models import Job, JobEvent, JobKind, JobState, PayloadT, Priority, StopRequest
from app.jobs.work import JobPayload
from app.sentences import N_, Failure, FailureCode, plain_json

VANISHED: Final = N_("The worker vanished %(count)d times while doing this. The worker's log says more.")
EventData = tuple[EventKind, dict[str, Any]]


class Row(Protocol):
    """A row of a table, which has its id once it is stored."""

    @property
    def id(self) -> int | None: ...


RowT = TypeVar("RowT", bound=Row)


class LeaseLost(Exception):
    """The job belongs to another attempt now, or was ended: stop working on it at once."""


@dataclass(frozen=True)
class Claim:
    """A worker's right to write: valid while (job_id, attempt) is the running attempt."""

    job_id: int
    attempt: int
    kind: JobKind
    payload: Mapping[str, Any]
    # Where it runs, where the kind needs a device.
    device: str | None = None

    def asked(self, model: type[PayloadT]) -> PayloadT:
        """What is asked for; `model` is the payload of the job's kind."""
        return model.stored(self.payload)


def enqueue(
    session: Session,
    kind: JobKind,
    payload: JobPayload | None = None,
    *,
    created_by: Who,
    device: str = ANY,
    priority: Priority = Priority.NORMAL,
) -> Job:
    """Promise the work, the last of its priority. A worker hears of it after the commit. `device`: where it may run."""
    asked = payload.to_json() if payload else {}
    job = Job(
        kind=kind,
        payload=asked,
        rank=priority.rank,
        device_wanted=device,
        created_at=database_now(session),
        **created_by.columns(),
    )
    session.add(job)
    session.flush()
    job.place = id_of(job)
    append_events(session, job, [(EventKind.STATE, {"state": JobState.QUEUED.value})])
    ring_after_commit(session, job)
    return job


def enqueue_with(
    session: Session,
    kind: JobKind,
    row_of: Callable[[int], RowT],
    payload_of: Callable[[int], JobPayload],
    *,
    created_by: Who,
    device: str = ANY,
) -> tuple[RowT, Job]:
    """Promise the work on a row that names its job while the job's payload names the row: `row_of` gets the job's id,
    `payload_of` the row's. Both are stored.
    """
    job = enqueue(session, kind, created_by=created_by, device=device)
    row = row_of(id_of(job))
    session.add(row)
    session.flush()
    assert row.id is not None
    job.payload = payload_of(row.id).to_json()
    session.add(job)
    session.flush()
    return row, job


def require_job(session: Session, job_id: int) -> Job:
    """The job, or NotFound."""
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound(N_("There is no job %(id)d."), id=job_id)
    return job


def require_readable(session: Session, job_id: int, actor: Actor) -> Job:
    """The job, or NotFound; for a chat of somebody else too, whose words are nobody's business."""
    job = require_job(session, job_id)
    own = job.created_by_user_id == actor.user_id
    if job.kind is JobKind.CHAT and not own and not actor.may(Permission.PLAYGROUND_READ_OTHERS):
        raise NotFound(N_("There is no job %(id)d."), id=job_id)
    return job


def append_events(session: Session, job: Job, events: Iterable[EventData]) -> None:
    """Number events in the same transaction as the change they tell of."""
    for kind, payload in events:
        job.event_count += 1
        event = JobEvent(
            job_id=id_of(job), seq=job.event_count, kind=EventKind(kind).value, payload=plain_json(payload)
        )
        session.add(event)
    session.add(job)
    session.flush()


def events_after(session: Session, job_id: int, seq: int, limit: int = EVENTS_AT_ONCE) -> list[JobEvent]:
    """The next events in order, at most `limit`."""
    statement = (
        select(JobEvent)
        .where(JobEvent.job_id == job_id, col(JobEvent.seq) > seq)
        .order_by(col(JobEvent.seq))
        .limit(limit)
    )
    return list(session.exec(statement))


def claim(
    session: Session,
    job_id: int,
    *,
    owner: str,
    lease_seconds: float,
    slot: Slot | None = None,
    worker_id: int | None = None,
) -> Claim | None:
    """Take a queued job. None when somebody else has it or it ended: a doubled bell changes nothing. With a `slot` that
    another job has taken meanwhile, the database refuses it (IntegrityError).
    """
    now = database_now(session)
    taken = changed_one(
        session,
        update(Job)
        .where(col(Job.id) == job_id, col(Job.state) == JobState.QUEUED)
        .values(
            state=JobState.RUNNING,
            attempt=Job.attempt + 1,
            owner=owner,
            phase=Phase.PREPARING.value,
            lease_expires_at=now + timedelta(seconds=lease_seconds),
            started_at=now,
            device=slot.device if slot else None,
            device_slot=slot.key if slot else None,
            worker_id=worker_id,
        ),
    )
    if not taken:
        return None
    job = fresh(session, job_id)
    append_events(session, job, [(EventKind.STATE, {"state": "running", "attempt": job.attempt})])
    return Claim(job_id, job.attempt, job.kind, dict(job.payload), job.device)


def heartbeat(
    session: Session, claim: Claim, *, lease_seconds: float, events: Iterable[EventData] = ()
) -> StopRequest | None:
    """Extend the lease, store a batch of events, learn of a stop request. Raises LeaseLost."""
    _fence(session, claim, lease_expires_at=database_now(session) + timedelta(seconds=lease_seconds))
    job = fresh(session, claim.job_id)
    batch = list(events)
    for kind, payload in batch:
        if kind == EventKind.PHASE:
            job.phase = str(payload.get("phase", ""))[:40]
    append_events(session, job, batch)
    return job.stop_requested


def finish(
    session: Session,
    claim: Claim,
    state: JobState,
    *,
    result: dict[str, Any] | None = None,
    failure: Failure | None = None,
    events: Iterable[EventData] = (),
) -> Job:
    """End the attempt. The one write that publishes a result. Raises LeaseLost."""
    _fence(
        session,
        claim,
        state=state,
        lease_expires_at=None,
        device_slot=None,
        finished_at=database_now(session),
        result=plain_json(result),
        failure=failure.to_json() if failure else None,
    )
    job = fresh(session, claim.job_id)
    _count_work(job, until=database_now(session))
    append_events(session, job, [*events, (EventKind.STATE, _ended(job))])
    return job


def _let_go(session: Session, claim: Claim, state: JobState, *, has_failed: bool = False) -> Job:
    """The job without its worker, whose attempt counts as a failure or not; lease and device are free. Raises LeaseLost."""
    _fence(
        session,
        claim,
        state=state,
        phase="",
        owner=None,
        lease_expires_at=None,
        device_slot=None,
        releases=Job.releases + (0 if has_failed else 1),
    )
    job = fresh(session, claim.job_id)
    _count_work(job, until=database_now(session))
    return job


def release(session: Session, claim: Claim, *, events: Iterable[EventData] = ()) -> None:
    """Hand a job back because this worker is going down; another goes on from its last checkpoint."""
    job = _let_go(session, claim, JobState.QUEUED)
    _set_aside(session, job)
    append_events(session, job, [*events, (EventKind.STATE, {"state": job.state.value, "released": True})])


def was_begun_again(session: Session, job_id: int) -> bool:
    """Whether the job's process was killed before, and another attempt went on by itself."""
    states = select(JobEvent.payload).where(JobEvent.job_id == job_id, JobEvent.kind == EventKind.STATE.value)
    return any(payload.get("killed") for payload in session.exec(states))


def begin_again(session: Session, claim: Claim, *, events: Iterable[EventData] = ()) -> None:
    """Put a job back whose process was killed: another attempt goes on from its last checkpoint, and this one counts. Raises
    LeaseLost."""
    job = _let_go(session, claim, JobState.QUEUED, has_failed=True)
    if job.stop_requested is StopRequest.CANCEL:
        job.state, job.finished_at = JobState.CANCELLED, database_now(session)
    else:
        _set_aside(session, job)
    append_events(session, job, [*events, (EventKind.STATE, {**_ended(job), "killed": True})])


def pause(session: Session, claim: Claim, *, events: Iterable[EventData] = ()) -> JobState:
    """End the attempt for a while, as was asked; where somebody asked for another end meanwhile, that is met. Raises
    LeaseLost."""
    job = _let_go(session, claim, JobState.PAUSED)
    if job.stop_requested is StopRequest.CANCEL:
        job.state, job.finished_at = JobState.CANCELLED, database_now(session)
    else:
        _set_aside(session, job)
    append_events(session, job, [*events, (EventKind.STATE, {"state": job.state.value})])
    return job.state


def _set_aside(session: Session, job: Job) -> None:
    """What no worker is at any more waits for the next, or for a person where it was to be paused."""
    if job.stop_requested is StopRequest.PAUSE:
        job.state, job.stop_requested = JobState.PAUSED, None
    else:
        job.state = JobState.QUEUED
        ring_after_commit(session, job)
    job.phase = ""


def _count_work(job: Job, *, until: datetime) -> None:
    if job.started_at is not None:
        job.worked_seconds += max(0.0, (until - job.started_at).total_seconds())


def rescue_expired(session: Session, *, max_attempts: int) -> list[int]:
    """Put jobs whose lease ran out back in the queue, or fail them after the last attempt. Ids put back.

    An attempt that got further than those before it does not count: a long run outlives any number of outages.
    """
    now = database_now(session)
    expired = session.exec(
        select(Job)
        .where(col(Job.state) == JobState.RUNNING, col(Job.lease_expires_at) < now)
        .with_for_update(skip_locked=True)
    ).all()
    requeued: list[int] = []
    for job in expired:
        _count_work(job, until=job.lease_expires_at or now)
        if _got_further(session, job):
            job.releases += 1
        job.owner, job.lease_expires_at, job.device_slot = None, None, None
        if job.stop_requested is StopRequest.CANCEL:
            job.state, job.finished_at = JobState.CANCELLED, now
        elif job.attempt - job.releases >= max_attempts:
            job.state, job.finished_at = JobState.FAILED, now
            job.failure = Failure.of(FailureCode.VANISHED, VANISHED, count=job.attempt).to_json()
        else:
            _set_aside(session, job)
            if job.state is JobState.QUEUED:
                requeued.append(id_of(job))
        append_events(session, job, [(EventKind.STATE, {**_ended(job), "rescued": True})])
    return requeued


def _got_further(session: Session, job: Job) -> bool:
    """Whether the running attempt has left a checkpoint since it began."""
    of_job = select(func.max(JobEvent.seq)).where(JobEvent.job_id == job.id)
    began = session.exec(of_job.where(JobEvent.kind == EventKind.STATE.value)).one()
    saved = session.exec(of_job.where(JobEvent.kind == EventKind.CHECKPOINT.value)).one()
    return saved is not None and began is not None and saved > began


def _ended(job: Job) -> dict[str, Any]:
    return {"state": job.state.value, "failure": job.failure}


def _fence(session: Session, claim: Claim, **values: Any) -> None:
    statement = (
        update(Job)
        .where(
            col(Job.id) == claim.job_id, col(Job.attempt) == claim.attempt, col(Job.state) == JobState.RUNNING
        )
        .values(**values)
    )
    if not changed_one(session, statement):
        raise LeaseLost(f"job {claim.job_id} attempt {claim.attempt}")


def changed_one(session: Session, statement: Any) -> bool:
    """Whether a guarded UPDATE met its row: where it did not, somebody else was faster."""
    result = cast(
        CursorResult[Any], session.execute(statement, execution_options={"synchronize_session": False})
    )
    return result.rowcount == 1


def fresh(session: Session, job_id: int) -> Job:
    """The row as it is now, in place of what this session read before."""
    job = session.get_one(Job, job_id)
    session.refresh(job)
    return job


def id_of(job: Job) -> int:
    """Of a stored job."""
    assert job.id is not None
    return job.id
