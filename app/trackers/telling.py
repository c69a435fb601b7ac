"""Who is told next, from where they stopped: runs that a tracker has not heard all of, told out of the stored events.

A row is held by one worker at a time, by a guarded update that also says until when, so that one that dies leaves it to
the next. How far was told is stored after each piece. A tracker that is away is tried after ever longer pauses for
weeks; the run knows nothing of any of this.
"""

import threading
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, CursorResult, Engine, or_, update
from sqlmodel import Session, col, select

from app.core.database import database_now, reading, transaction, utc_now
from app.core.errors import StudioError
from app.core.logging import get_logger
from app.core.outages import is_outage
from app.core.settings import Settings
from app.core.storage import Storage
from app.jobs.models import Job, JobState
from app.runs.models import Run
from app.runs.tracking import UNFINISHED, Remark, TrackedRun, TrackingState, destinations
from app.sentences import N_
from app.trackers.story import Page, beginning_of, ending_of, points_after, read_ending
from app.trackers.tracker import Forgotten, Link, Lost, RunTold, Tracker, TrackerTrouble

logger = get_logger(__name__)
# After the first failure, the second, and so on; then the last again and again.
PAUSES_SECONDS: Final = (5, 15, 60, 300)
# For so long a run is told again that a tracker would not take.
PATIENCE: Final = timedelta(days=30)
# By then a worker has told a piece and said so, or died.
_HELD: Final = timedelta(minutes=3)
# Ten figures each: no more than MLflow takes at once.
_POINTS_AT_ONCE: Final = 100
_RUNS_AT_ONCE: Final = 20
# Of one run, before others have their turn.
_PAGES_AT_ONCE: Final = 50
_ENDS: Final = tuple(state for state in JobState if state.is_final)
_UNEXPECTED: Final = N_(
    "%(tracker)s could not be told, for a reason that only the worker's log knows: %(reason)s"
)


class Teller:
    """Tells one tracker of every run that was promised to it. Used by one thread."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        storage: Storage,
        tracker: Tracker,
        *,
        owner: str,
        stop: threading.Event,
    ) -> None:
        self.engine, self.settings, self.storage = engine, settings, storage
        self.tracker, self.owner = tracker, owner
        self.destination = destinations(settings)[tracker.name]
        self.stop_event = stop
        # By row, what this process has begun to tell, and from which event on.
        self._begun: dict[int, tuple[RunTold, Link]] = {}
        self._begun_after: dict[int, int] = {}

    def try_all_again(self) -> None:
        """What waits after failures waits no longer: whoever starts a worker anew may have mended what was wrong."""
        with transaction(self.engine) as session:
            session.execute(
                update(TrackedRun)
                .where(self._is_ours(), col(TrackedRun.failures) > 0)
                .values(next_at=database_now(session))
            )

    def round(self) -> int:
        """Tell what there is to tell now. How many runs that were."""
        with reading(self.engine) as session:
            due = self._due(session)
        told = 0
        for row_id in due:
            if self.stop_event.is_set():
                break
            told += self._tell_one(row_id)
        self.tracker.tidy()
        return told

    def _is_ours(self) -> ColumnElement[bool]:
        return (
            (col(TrackedRun.tracker) == self.tracker.name)
            & (col(TrackedRun.destination) == self.destination)
            & col(TrackedRun.state).in_(UNFINISHED)
        )

    def _is_free(self, now: datetime) -> ColumnElement[bool]:
        return or_(
            col(TrackedRun.owner) == self.owner,
            col(TrackedRun.owned_until).is_(None),
            col(TrackedRun.owned_until) <= now,
        )

    def _due(self, session: Session) -> list[int]:
        now = database_now(session)
        statement = (
            select(TrackedRun.id)
            .join(Run, col(Run.id) == TrackedRun.run_id)
            .join(Job, col(Job.id) == Run.job_id)
            .where(
                self._is_ours(),
                self._is_free(now),
                col(TrackedRun.next_at) <= now,
                or_(
                    col(TrackedRun.external_id).is_(None),
                    col(Job.event_count) > TrackedRun.seq,
                    col(Job.state).in_(_ENDS),
                ),
            )
            .order_by(col(TrackedRun.next_at), col(TrackedRun.id))
            .limit(_RUNS_AT_ONCE)
        )
        return [found for found in session.exec(statement) if found is not None]

    def _tell_one(self, row_id: int) -> bool:
        if not self._store(row_id):
            return False
        try:
            self._tell(row_id)
        except StudioError as trouble:
            self._put_off(row_id, trouble)
        except Exception as error:
            if is_outage(error):
                raise
            logger.exception("%s: a run could not be told", self.tracker.name)
            reason = f"{type(error).__name__}: {error}"[:300]
            unforeseen = TrackerTrouble(_UNEXPECTED, tracker=self.tracker.name.spelled, reason=reason)
            self._put_off(row_id, unforeseen)
        return True

    def _tell(self, row_id: int) -> None:
        told, link = self._begin(row_id)
        for _ in range(_PAGES_AT_ONCE):
            page, is_over = self._next_page(row_id)
            news: dict[str, object] = {"seq": page.seq}
            if page.points:
                self.tracker.tell(told, link, page.points)
                news |= {"step": page.points[-1].step, "told_at": utc_now(), **_WELL}
            if not self._store(row_id, **news) or self.stop_event.is_set():
                return
            if page.is_last:
                if is_over:
                    self._end(row_id, told, link)
                return

    def _begin(self, row_id: int) -> tuple[RunTold, Link]:
        """The tracker's own run, which this process has begun to speak of."""
        if row_id in self._begun:
            return self._begun[row_id]
        with reading(self.engine) as session:
            row, run, job = _rows(session, row_id)
            told = beginning_of(session, run, job, row.key, self.settings)
        known = Link(row.external_id, row.url) if row.external_id else None
        link = self.tracker.begin(told, known)
        if link != known:
            # What is known already was not asked for again: that says nothing of how the tracker is now.
            found = {"external_id": link.external_id, "url": link.url, "state": TrackingState.BEGUN}
            self._store(row_id, **found, **_WELL)
        self._begun[row_id], self._begun_after[row_id] = (told, link), row.seq
        return told, link

    def _next_page(self, row_id: int) -> tuple[Page, bool]:
        """What comes after what was told, and whether there will be no more."""
        with reading(self.engine) as session:
            row, _run, job = _rows(session, row_id)
            return points_after(session, job, row.seq, _POINTS_AT_ONCE), job.is_final

    def _end(self, row_id: int, told: RunTold, link: Link) -> None:
        with reading(self.engine) as session:
            _row, run, job = _rows(session, row_id)
            ended = ending_of(session, run, job)
        remark = self.tracker.end(told, link, read_ending(ended, self.storage))
        said = Remark(sentence=remark) if remark else None
        ended_well = {**_WELL, "state": TrackingState.TOLD, "remark": said, "owned_until": None}
        self._store(row_id, told_at=utc_now(), **ended_well)
        self._begun.pop(row_id, None)
        self._begun_after.pop(row_id, None)

    def _store(self, row_id: int, **values: object) -> bool:
        """Write that, and hold the row for a while longer. False where it is another's by now, or done."""
        with transaction(self.engine) as session:
            now = database_now(session)
            statement = (
                update(TrackedRun)
                .where(col(TrackedRun.id) == row_id, self._is_ours(), self._is_free(now))
                .values({"owner": self.owner, "owned_until": now + _HELD, **values})
            )
            return cast(CursorResult[Any], session.execute(statement)).rowcount == 1

    def _put_off(self, row_id: int, trouble: StudioError) -> None:
        """Try again later, by whoever is free then; after weeks no more."""
        self._begun.pop(row_id, None)
        after = self._begun_after.pop(row_id, None)
        with transaction(self.engine) as session:
            now = database_now(session)
            row = session.get(TrackedRun, row_id)
            if row is None or row.owner != self.owner or row.state not in UNFINISHED:
                return
            row.failing_since = row.failing_since or now
            row.failures += 1
            if isinstance(trouble, Lost) and after is not None:
                row.seq = after
            if isinstance(trouble, Forgotten):
                row.external_id, row.url, row.seq, row.step = None, None, 0, None
                row.state = TrackingState.WAITING
            row.remark = Remark(sentence=trouble.sentence)
            row.next_at = now + timedelta(seconds=PAUSES_SECONDS[min(row.failures, len(PAUSES_SECONDS)) - 1])
            row.owned_until = None
            if now - row.failing_since > PATIENCE:
                row.state = TrackingState.GIVEN_UP
            session.add(row)


# After something was taken: what went wrong before is over.
_WELL: Final[dict[str, Any]] = {"failures": 0, "failing_since": None, "remark": None}


def _rows(session: Session, row_id: int) -> tuple[TrackedRun, Run, Job]:
    row = session.get_one(TrackedRun, row_id)
    run = session.get_one(Run, row.run_id)
    return row, run, session.get_one(Job, run.job_id)
