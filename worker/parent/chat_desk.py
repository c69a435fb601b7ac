"""Chat jobs: answered by one warm child process that keeps its model loaded between questions."""

import time
from contextlib import closing
from typing import Final

from sqlalchemy import Engine

from app.core.logging import get_logger
from app.core.settings import Settings
from app.core.storage import Storage
from app.jobs.events import Ending, EventKind
from app.jobs.models import JobKind, JobState
from app.jobs.service import EventData, LeaseLost
from app.playground.service import chat_request
from app.playground.work import ChatPayload, ChatRequest
from app.sentences import N_, Failure, SentenceError
from worker.parent.attempt import Attempt
from worker.parent.supervisor import unexpected
from worker.parent.warm_chat import TICK, WarmChat

logger = get_logger(__name__)
# Text reaches the reader in pieces this often: soon enough to read along, seldom enough for SQLite.
FLUSH_SECONDS: Final = 0.3
# The lease is renewed by the clock, not by what the child says: loading a large model takes longer than a lease.
SILENT_BEAT_SECONDS: Final = 1.0
UNANSWERED: Final = N_(
    "The answer could not be generated. Try again; if it fails again, an engineer finds the reason in the worker's log."
)


class ChatDesk:
    """Claims chat jobs and streams the child's text into their events."""

    def __init__(self, settings: Settings, engine: Engine, storage: Storage) -> None:
        self.settings, self.engine, self.storage = settings, engine, storage
        self._warm = WarmChat()

    def close(self) -> None:
        """End the warm child."""
        self._warm.close()

    def run_next(self, worker_id: int | None = None) -> bool:
        """Claim and answer the first chat that waits. False when none does. Raises the database's error before the claim."""
        mine = Attempt.take(
            self.engine,
            (JobKind.CHAT,),
            self.settings.lease_seconds,
            worker_id=worker_id,
            merge=merge_deltas,
        )
        if mine is None:
            return False
        try:
            asked = mine.claim.asked(ChatPayload)
            request = mine.read(lambda session: chat_request(session, self.storage, asked))
            self._answer(mine, request.of(str(mine.claim.job_id)))
        except LeaseLost as lost:
            logger.warning("%s: stopped, %s", mine, lost)
        except SentenceError as error:
            mine.fail(error.failure)
        except Exception as error:
            logger.exception("%s failed at the chat desk", mine)
            mine.fail(unexpected(error, UNANSWERED))
        return True

    def _answer(self, mine: Attempt, request: ChatRequest) -> None:
        last_beat, told = time.monotonic(), False
        state = JobState.SUCCEEDED
        # Leaving the block closes the stream, which cancels what the child still writes.
        with closing(self._warm.stream(request, tick_seconds=FLUSH_SECONDS)) as stream:
            for message in stream:
                kind = str(message.get("event"))
                if kind == Ending.FAILED:
                    mine.fail(Failure.from_json(message))
                    return
                if kind != TICK:
                    mine.tell(EventKind(kind), {k: v for k, v in message.items() if k not in {"event", "id"}})
                    told = True
                if time.monotonic() - last_beat >= (FLUSH_SECONDS if told else SILENT_BEAT_SECONDS):
                    stop = mine.beat()
                    last_beat, told = time.monotonic(), False
                    if stop:
                        state = JobState.CANCELLED
                        break
        mine.finish(state)


def merge_deltas(events: list[EventData]) -> list[EventData]:
    """One text event a side: the sides are read apart, so only the order within a side matters."""
    merged: list[EventData] = []
    place: dict[str, int] = {}
    for kind, payload in events:
        side = str(payload.get("side"))
        if kind == EventKind.DELTA and side in place:
            earlier = merged[place[side]][1]
            merged[place[side]] = (EventKind.DELTA, {**earlier, "text": earlier["text"] + payload["text"]})
            continue
        if kind == EventKind.DELTA:
            place[side] = len(merged)
        merged.append((kind, payload))
    return merged
