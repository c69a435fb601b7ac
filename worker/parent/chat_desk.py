"""Chat jobs: answered by one warm child process that keeps its model loaded between questions."""

import time
from contextlib import closing
from typing import Any, Final

from sqlalchemy import Engine

from app.core.database import transaction
from app.core.logging import get_logger
from app.core.settings import Settings
from app.core.storage import Storage
from app.jobs.models import JobState
from app.jobs.service import Claim, EventData, LeaseLost, claim, finish, heartbeat
from app.playground.service import chat_request
from app.sentences import N_, Failure, FailureCode, SentenceError
from worker.parent.supervisor import owner_name
from worker.parent.warm_chat import WarmChat

logger = get_logger(__name__)
# Text reaches the reader in pieces this often: soon enough to read along, seldom enough for SQLite.
FLUSH_SECONDS: Final = 0.3
UNEXPECTED: Final = N_("The answer could not be generated: %(reason)s")


class ChatDesk:
    """Claims chat jobs and streams the child's text into their events."""

    def __init__(self, settings: Settings, engine: Engine, storage: Storage) -> None:
        self.settings, self.engine, self.storage = settings, engine, storage
        self._warm = WarmChat()

    def close(self) -> None:
        """End the warm child."""
        self._warm.close()

    def run(self, job_id: int) -> None:
        """Claim and answer one chat job."""
        with transaction(self.engine) as session:
            mine = claim(session, job_id, owner=owner_name(), lease_seconds=self.settings.lease_seconds)
        if mine is None:
            return
        try:
            with transaction(self.engine) as session:
                request = chat_request(session, self.storage, mine.payload)
            self._answer(mine, {"id": str(job_id), **request})
        except LeaseLost:
            logger.warning("chat job %d: lease lost", job_id)
        except SentenceError as error:
            self._fail(mine, error.failure)
        except Exception as error:
            logger.exception("chat job %d failed", job_id)
            reason = f"{type(error).__name__}: {error}"[:300]
            self._fail(mine, Failure.of(FailureCode.UNEXPECTED, UNEXPECTED, reason=reason))

    def _answer(self, mine: Claim, request: dict[str, Any]) -> None:
        pending: list[EventData] = []
        last_write = time.monotonic()
        state = JobState.SUCCEEDED
        # Leaving the block closes the stream, which cancels what the child still writes.
        with closing(self._warm.stream(request)) as stream:
            for message in stream:
                kind = str(message.get("event"))
                if kind == "failed":
                    self._fail(mine, Failure.from_json(message))
                    return
                pending.append((kind, {k: v for k, v in message.items() if k not in {"event", "id"}}))
                if time.monotonic() - last_write >= FLUSH_SECONDS:
                    stop = self._beat(mine, pending)
                    pending, last_write = [], time.monotonic()
                    if stop:
                        state = JobState.CANCELLED
                        break
        with transaction(self.engine) as session:
            finish(session, mine, state, events=merge_deltas(pending))

    def _beat(self, mine: Claim, events: list[EventData]) -> bool:
        with transaction(self.engine) as session:
            stop = heartbeat(
                session, mine, lease_seconds=self.settings.lease_seconds, events=merge_deltas(events)
            )
        return stop is not None

    def _fail(self, mine: Claim, failure: Failure) -> None:
        try:
            with transaction(self.engine) as session:
                finish(session, mine, JobState.FAILED, failure=failure)
        except LeaseLost:
            logger.warning("chat job %d: lease lost before the failure was stored", mine.job_id)


def merge_deltas(events: list[EventData]) -> list[EventData]:
    """One text event a side: the sides are read apart, so only the order within a side matters."""
    merged: list[EventData] = []
    place: dict[str, int] = {}
    for kind, payload in events:
        side = str(payload.get("side"))
        if kind == "delta" and side in place:
            earlier = merged[place[side]][1]
            merged[place[side]] = ("delta", {**earlier, "text": earlier["text"] + payload["text"]})
            continue
        if kind == "delta":
            place[side] = len(merged)
        merged.append((kind, payload))
    return merged
