"""A job's events of one kind, read as what was told: the newest for pages, all of them for what is made of them."""

from collections.abc import Sequence
from typing import TypeVar, cast

from sqlmodel import Session, col, func, select

from app.jobs.events import KIND_OF, EvalPayload, EventKind, EventPayload, SamplePayload
from app.jobs.models import JobEvent

PayloadT = TypeVar("PayloadT", bound=EventPayload)
SteppedT = TypeVar("SteppedT", EvalPayload, SamplePayload)


def last_event(session: Session, job_id: int, payload_type: type[PayloadT]) -> PayloadT | None:
    """The newest event with such a payload, if any."""
    statement = (
        select(JobEvent.payload)
        .where(JobEvent.job_id == job_id, JobEvent.kind == KIND_OF[payload_type])
        .order_by(col(JobEvent.seq).desc())
        .limit(1)
    )
    payload = session.exec(statement).first()
    return cast(PayloadT | None, payload)


def all_events(session: Session, job_id: int, payload_type: type[PayloadT]) -> list[PayloadT]:
    """Every event with such a payload, in order."""
    statement = (
        select(JobEvent.payload)
        .where(JobEvent.job_id == job_id, JobEvent.kind == KIND_OF[payload_type])
        .order_by(col(JobEvent.seq))
    )
    return [cast(PayloadT, payload) for payload in session.exec(statement)]


def told_until_restored(
    session: Session, job_ids: Sequence[int], payload_type: type[SteppedT]
) -> dict[int, list[SteppedT]]:
    """By job, which each has an entry, every event with such a payload in order, without what lay behind the step from which a
    later attempt went on.
    """
    statement = (
        select(JobEvent.job_id, JobEvent.kind, JobEvent.payload)
        .where(
            col(JobEvent.job_id).in_(job_ids),
            col(JobEvent.kind).in_((KIND_OF[payload_type], EventKind.RESTORED)),
        )
        .order_by(col(JobEvent.seq))
    )
    found: dict[int, list[SteppedT]] = {job_id: [] for job_id in job_ids}
    for job_id, kind, payload in session.exec(statement):
        if kind == EventKind.RESTORED:
            found[job_id] = [told for told in found[job_id] if told["step"] <= payload["step"]]
        else:
            found[job_id].append(cast(SteppedT, payload))
    return found


def last_events(
    session: Session, job_ids: list[int], kinds: tuple[EventKind, ...]
) -> dict[tuple[int, str], EventPayload]:
    """The newest event of each kind for many jobs at once (one query), by (job, kind)."""
    newest = (
        select(JobEvent.job_id, func.max(JobEvent.seq).label("seq"))
        .where(col(JobEvent.job_id).in_(job_ids), col(JobEvent.kind).in_(kinds))
        .group_by(col(JobEvent.job_id), col(JobEvent.kind))
        .subquery()
    )
    statement = select(JobEvent).join(
        newest, (col(JobEvent.job_id) == newest.c.job_id) & (col(JobEvent.seq) == newest.c.seq)
    )
    return {
        (event.job_id, event.kind): cast(EventPayload, event.payload) for event in session.exec(statement)
    }
