"""What the worker of the attempt before had heard, or its child still said, and nobody stored: told first of all."""

from pathlib import Path
from typing import cast

from sqlmodel import Session, col, select

from app.jobs.events import EventKind, EventPayload
from app.jobs.handlers import Workplace
from app.jobs.models import JobEvent
from app.jobs.record import RECORD, RECORDED, Told, after_the_last_stored, line_of, read_record
from app.jobs.service import Claim
from worker.parent.attempt import Attempt


def tell_what_was_left(mine: Attempt, place: Workplace) -> None:
    """Tell it as of this attempt. It begins this attempt's own record, so that losing one worker after the other loses nothing
    either. Raises LeaseLost.
    """
    before = _folder_before(place, mine.claim)
    if before is None:
        return
    told = [(kind, place.storage.relative(payload)) for kind, payload in read_record(before)]
    left = after_the_last_stored(told, mine.read(lambda session: _stored(session, mine.claim.job_id)))
    if not left:
        return
    # Whole or not at all: the next attempt takes the newest record that is there.
    with place.storage.write(f"{place.output_key}/{RECORD}") as file:
        file.writelines(f"{line_of(kind, payload)}\n".encode(errors="replace") for kind, payload in left)
    for kind, payload in left:
        mine.tell(kind, dict(payload))


def _folder_before(place: Workplace, claim: Claim) -> Path | None:
    """Of the newest attempt that kept a record: one that was lost between its claim and its child's first word kept none, and what
    the one before it had measured is still untold.
    """
    folders = (place.output_dir.parent / str(attempt) for attempt in range(claim.attempt - 1, 0, -1))
    return next((folder for folder in folders if (folder / RECORD).exists()), None)


def _stored(session: Session, job_id: int) -> list[Told]:
    statement = select(JobEvent.kind, JobEvent.payload).where(
        JobEvent.job_id == job_id, col(JobEvent.kind).in_(RECORDED)
    )
    return [(EventKind(kind), cast(EventPayload, payload)) for kind, payload in session.exec(statement)]
