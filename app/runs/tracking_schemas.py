"""What REST says of the trackers that a run is told to."""

from datetime import datetime
from typing import Final, Self

from pydantic import BaseModel
from sqlmodel import Session

from app.core.i18n import say
from app.core.settings import Settings
from app.runs.tracking import (
    SETTINGS,
    UNFINISHED,
    TrackedRun,
    TrackerName,
    TrackingState,
    destinations,
    tracked,
)
from app.sentences import N_, Sentence

_NAMED_NO_MORE: Final = N_(
    "%(setting)s names another place now, or none: the rest of this run is told when it names %(destination)s again."
)


class TrackedIn(BaseModel):
    """Where a tracker has the run: its id there, and the address of its page where there is one."""

    tracker: TrackerName
    external_id: str
    url: str | None

    @classmethod
    def of_run(cls, session: Session, run_id: int) -> list[Self]:
        """With each tracker that has begun it."""
        return [
            cls(tracker=one.tracker, external_id=one.external_id, url=one.url)
            for one in tracked(session, run_id)
            if one.external_id
        ]


class TrackedOut(BaseModel):
    """How a run stands with a tracker. `destination` is the server's address, or the project; `step` the training step that was
    told last, `told_at` when. `detail` says what was wrong at the last attempt, which is repeated at `next_at`; of a run that
    was told, what the tracker would not take.
    """

    tracker: TrackerName
    title: str
    destination: str
    state: TrackingState
    external_id: str | None
    url: str | None
    step: int | None
    told_at: datetime | None
    failures: int
    next_at: datetime | None
    detail: str

    @classmethod
    def of(cls, row: TrackedRun, settings: Settings) -> Self:
        """From the stored row; what is said is in the reader's language."""
        sentence = row.remark.sentence if row.remark else None
        waits = row.state in UNFINISHED
        if waits and destinations(settings).get(row.tracker) != row.destination:
            sentence = Sentence.of(_NAMED_NO_MORE, setting=SETTINGS[row.tracker], destination=row.destination)
        return cls(
            tracker=row.tracker,
            title=row.tracker.spelled,
            destination=row.destination,
            state=row.state,
            external_id=row.external_id,
            url=row.url,
            step=row.step,
            told_at=row.told_at,
            failures=row.failures,
            next_at=row.next_at if waits and row.failures else None,
            detail=say(sentence) if sentence else "",
        )

    @classmethod
    def of_run(cls, session: Session, run_id: int, settings: Settings) -> list[Self]:
        """With each tracker that the run was promised to."""
        return [cls.of(row, settings) for row in tracked(session, run_id)]
