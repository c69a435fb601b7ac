"""A job's events of one kind, read as what was told: the newest for pages, all of them for what is made of them."""

from collections.abc import Sequence
from typing import Final, TypeVar, cast

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, or_, select

from app.jobs.events import KIND_OF, EvalPayload, EventKind, EventPayload, SamplePayload
from app.jobs.models import JobEvent

PayloadT = TypeVar("PayloadT", bound=EventPayload)
SteppedT = TypeVar("SteppedT", EvalPayload, SamplePayload)
# Kinds of which each event is of a step of training.
OF_A_STEP: Final = frozenset(
    (EventKind.PROGRESS, EventKind.METRIC, EventKind.EVAL, EventKind.CHECKPOINT, EventKind.SAMPLE)
)


def last_event(session: Session, job_id: int, payload_type: type[PayloadT]) -> PayloadT | None:
    """The newest event with such a payload that is still true, if any: see `last_events`."""
    kind = KIND_OF[payload_type]
    return cast(PayloadT | None, last_events(session, [job_id], (kind,)).get((job_id, kind)))


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
    session: Session, job_ids: Sequence[int], kinds: tuple[EventKind, ...]
) -> dict[tuple[int, str], EventPayload]:
    """The newest event of each kind for many jobs at once, by (job, kind).

    What an attempt told of steps behind the one from which a later attempt went on is taken back: the newest one before stands in
    its place, or none.
    """
    found = {(event.job_id, event.kind): event for event in _newest(session, job_ids, kinds)}
    for restored in _newest(session, job_ids, (EventKind.RESTORED,)) if OF_A_STEP.intersection(kinds) else ():
        for kind in OF_A_STEP.intersection(kinds):
            place = (restored.job_id, kind.value)
            # What was told since is the newer attempt's own.
            if place in found and found[place].seq < restored.seq:
                event = _newest_true(session, *place)
                if event is None:
                    del found[place]
                else:
                    found[place] = event
    return {place: cast(EventPayload, event.payload) for place, event in found.items()}


def _newest(session: Session, job_ids: Sequence[int], kinds: tuple[EventKind, ...]) -> Sequence[JobEvent]:
    newest = (
        select(JobEvent.job_id, func.max(JobEvent.seq).label("seq"))
        .where(col(JobEvent.job_id).in_(job_ids), col(JobEvent.kind).in_(kinds))
        .group_by(col(JobEvent.job_id), col(JobEvent.kind))
        .subquery()
    )
    statement = select(JobEvent).join(
        newest, (col(JobEvent.job_id) == newest.c.job_id) & (col(JobEvent.seq) == newest.c.seq)
    )
    return session.exec(statement).all()


def _newest_true(session: Session, job_id: int, kind: str) -> JobEvent | None:
    """The newest event of a kind that none of the job's later attempts took back."""
    statement = select(JobEvent).where(
        JobEvent.job_id == job_id, JobEvent.kind == kind, *not_taken_back(session, job_id)
    )
    return session.exec(statement.order_by(col(JobEvent.seq).desc()).limit(1)).first()


def not_taken_back(session: Session, job_id: int) -> list[ColumnElement[bool]]:
    """What events of steps of this job fulfil that no attempt so far took back by going on from an earlier step."""
    restored = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.kind == EventKind.RESTORED)
    step = col(JobEvent.payload)["step"].as_integer()
    return [or_(col(JobEvent.seq) > one.seq, step <= one.payload["step"]) for one in session.exec(restored)]
