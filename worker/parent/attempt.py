"""One attempt at a job as its worker holds it: the lease, and the events that the database has not got yet.

A database that is busy or away does not end a job. Events wait for the next good beat, an end is written again and
again, until the lease is gone. Then the attempt writes nothing any more and leaves the job to the rescue.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, Final, Self, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from app.core.database import transaction
from app.core.logging import get_logger
from app.core.outages import brief, is_outage
from app.jobs import service
from app.jobs.claiming import Seat, claim_next
from app.jobs.devices import Devices
from app.jobs.events import EventKind
from app.jobs.models import JobEvent, JobKind, JobState, StopRequest
from app.jobs.service import Claim, EventData, LeaseLost
from app.sentences import Failure, Sentence

logger = get_logger(__name__)
T = TypeVar("T")
RETRY_SECONDS: Final = 0.5
# Of a running job's events, those that others than its worker write.
_OF_OTHERS: Final = (EventKind.STOP_REQUESTED,)


def owner_name() -> str:
    """Names this worker thread in the lease."""
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"


def _as_they_are(events: list[EventData]) -> list[EventData]:
    return events


class Attempt:
    """The running attempt of one job. `merge` may shorten events that wait to be stored."""

    def __init__(
        self,
        engine: Engine,
        claim: Claim,
        lease_seconds: float,
        *,
        event_count: int,
        begun: float,
        merge: Callable[[list[EventData]], list[EventData]] = _as_they_are,
    ) -> None:
        self.engine, self.claim, self.lease_seconds = engine, claim, lease_seconds
        self._merge = merge
        self._new: list[EventData] = []
        # Sent, but an error left open whether they were stored.
        self._doubtful: list[EventData] = []
        self._event_count = event_count
        self._until = begun + lease_seconds
        self._away = False

    @classmethod
    def take(
        cls,
        engine: Engine,
        kinds: Collection[JobKind],
        lease_seconds: float,
        *,
        worker_id: int | None = None,
        devices: Devices | None = None,
        merge: Callable[[list[EventData]], list[EventData]] = _as_they_are,
    ) -> Self | None:
        """Claim the first waiting job of these kinds that there is room for; None when there is none. Raises the
        database's error.
        """
        seat = Seat(owner_name(), worker_id, devices)
        with transaction(engine) as session:
            session.connection()  # on SQLite the wait for one's turn, before the lease begins
            begun = time.monotonic()
            claim = claim_next(session, kinds, seat, lease_seconds=lease_seconds)
            if claim is None:
                return None
            count = service.require_job(session, claim.job_id).event_count
        return cls(engine, claim, lease_seconds, event_count=count, begun=begun, merge=merge)

    def tell(self, kind: EventKind, payload: dict[str, Any]) -> None:
        """Keep an event for the next write."""
        self._new.append((kind, payload))

    def beat(self) -> StopRequest | None:
        """Extend the lease, store what was told, learn of a stop request.

        None while the database is out of reach, too: what was told is kept for the next beat. Raises LeaseLost.
        """
        try:
            return self._write(lambda session, events: self._heartbeat(session, events))
        except SQLAlchemyError as error:
            self._bear(error)
            return None

    def read(self, action: Callable[[Session], T]) -> T:
        """What `action` finds in the database, once that can be reached. Raises LeaseLost, and what `action` raises."""

        def once() -> T:
            with transaction(self.engine) as session:
                return action(session)

        return self._persist(once)

    def finish(
        self,
        state: JobState,
        *,
        result: dict[str, Any] | None = None,
        publish: Callable[[Session], None] = lambda _session: None,
    ) -> None:
        """End the job; `publish` stores what came of it in the same transaction. Raises LeaseLost."""

        def end(session: Session, events: list[EventData]) -> None:
            service.finish(session, self.claim, state, result=result, events=events)
            publish(session)

        self._persist(lambda: self._write(end))

    def fail(self, failure: Failure) -> None:
        """End the job with the reason. One that cannot be stored is logged: the job is left to the rescue."""

        def end(session: Session, events: list[EventData]) -> None:
            service.finish(session, self.claim, JobState.FAILED, failure=failure, events=events)

        try:
            self._persist(lambda: self._write(end))
        except LeaseLost:
            logger.warning("%s: lease lost before the failure was stored: %s", self, failure.sentence)
        except SQLAlchemyError:
            logger.exception("%s: the failure could not be stored: %s", self, failure.sentence)

    def release(self) -> None:
        """Hand the job back with all that was told. Raises LeaseLost."""
        self._persist(
            lambda: self._write(lambda session, events: service.release(session, self.claim, events=events))
        )

    def begin_again(self, why: Sentence) -> bool:
        """Hand the job back because its process was killed, once: False where that was done before. Raises LeaseLost."""
        if self._persist(
            lambda: self.read(lambda session: service.was_begun_again(session, self.claim.job_id))
        ):
            return False
        self.tell(EventKind.LOG, {"level": "warning", "sentence": why.to_json()})
        self._persist(
            lambda: self._write(
                lambda session, events: service.begin_again(session, self.claim, events=events)
            )
        )
        return True

    def pause(self) -> JobState:
        """End for a while with all that was told; the state that it is in then. Raises LeaseLost."""
        return self._persist(
            lambda: self._write(lambda session, events: service.pause(session, self.claim, events=events))
        )

    def __str__(self) -> str:
        return f"job {self.claim.job_id} attempt {self.claim.attempt}"

    def _heartbeat(self, session: Session, events: list[EventData]) -> StopRequest | None:
        return service.heartbeat(session, self.claim, lease_seconds=self.lease_seconds, events=events)

    def _write(self, action: Callable[[Session, list[EventData]], T]) -> T:
        """One transaction that stores every event told so far."""
        with transaction(self.engine) as session:
            session.connection()
            begun = time.monotonic()
            self._drop_what_is_stored(session)
            events = [*self._doubtful, *self._merge(self._new)]
            self._doubtful, self._new = events, []
            value = action(session, events)
            count = service.require_job(session, self.claim.job_id).event_count
        self._doubtful, self._event_count = [], count
        self._until = begun + self.lease_seconds
        if self._away:
            logger.warning("%s: the database is back", self)
        self._away = False
        return value

    def _drop_what_is_stored(self, session: Session) -> None:
        """A connection that breaks at a commit leaves open whether it happened; here is the answer."""
        if not self._doubtful:
            return
        statement = select(JobEvent.seq).where(
            JobEvent.job_id == self.claim.job_id,
            JobEvent.seq > self._event_count,
            col(JobEvent.kind).not_in(_OF_OTHERS),
        )
        stored = session.exec(statement).all()
        del self._doubtful[: len(stored)]
        self._event_count = max(stored, default=self._event_count)

    def _persist(self, once: Callable[[], T]) -> T:
        while True:
            try:
                return once()
            except SQLAlchemyError as error:
                self._bear(error)
            time.sleep(RETRY_SECONDS)

    def _bear(self, error: SQLAlchemyError) -> None:
        """Returns when it may be tried again; raises LeaseLost when it is too late, and what no waiting mends."""
        if not is_outage(error):
            raise error
        if not self._away:
            logger.warning("%s: the database is out of reach (%s); trying again", self, brief(error))
        self._away = True
        if time.monotonic() >= self._until:
            raise LeaseLost(f"{self}: the database was out of reach until the lease was gone") from error
