"""The newest event of a kind: what a page shows of a job beside its state."""

from typing import Any

from sqlmodel import Session, col, func, select

from app.jobs.events import EventKind
from app.jobs.models import JobEvent

Payload = dict[str, Any]


def last_event(session: Session, job_id: int, kind: EventKind) -> Payload | None:
    """The newest event of a kind, if any."""
    statement = (
        select(JobEvent.payload)
        .where(JobEvent.job_id == job_id, JobEvent.kind == kind)
        .order_by(col(JobEvent.seq).desc())
        .limit(1)
    )
    payload = session.exec(statement).first()
    return dict(payload) if payload is not None else None


def last_events(
    session: Session, job_ids: list[int], kinds: tuple[EventKind, ...]
) -> dict[tuple[int, str], Payload]:
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
    return {(event.job_id, event.kind): event.payload for event in session.exec(statement)}
