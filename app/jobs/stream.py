"""Server-sent events of a job: replay after `Last-Event-ID`, then live, then close. Holds no session while waiting.

A stream ends with its job, with the server, and with the sign-in or the token that it was asked for with.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from anyio import CapacityLimiter, to_thread
from sqlalchemy import Engine
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from app.accounts.access import is_still_there
from app.accounts.service import Actor
from app.core.database import reading
from app.core.errors import TooMany
from app.core.i18n import say
from app.core.responses import problem
from app.jobs.events import STREAM_END, EventKind
from app.jobs.models import JobEvent
from app.jobs.service import events_after, require_job
from app.sentences import N_, Failure, Sentence

POLL_SECONDS: Final = 0.5
PING_SECONDS: Final = 15
RETRY_MILLISECONDS: Final = 3000
# All open streams read through these: many readers neither fill the threads of the pages nor wait for them.
STREAM_THREADS: Final = 4
# More pages than somebody looks at; each costs a query twice a second.
STREAMS_EACH: Final = 20
_TOO_MANY: Final = N_(
    "You follow %(count)d jobs at the same time already. Close a page that does, or ask for /events/list now and then."
)


@dataclass
class Streams:
    """What the open streams of one server share: the sign to end themselves, set when it goes down, their threads, and how
    many each person has open. Counted on the event loop only.
    """

    closing: asyncio.Event = field(default_factory=asyncio.Event)
    threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(STREAM_THREADS))
    open: Counter[int] = field(default_factory=Counter)


def as_dict(event: JobEvent) -> dict[str, Any]:
    """An event as JSON: its own fields, then sequence number, kind and time. In the reader's language."""
    payload = dict(event.payload)
    if event.kind == EventKind.LOG:
        sentence = Sentence.stored_in(payload)
        payload = {"level": payload.get("level", "info"), "message": say(sentence)}
    if event.kind == EventKind.STATE:
        failure = payload.pop("failure", None)
        payload["error"] = say(Failure.from_json(failure).sentence) if failure else None
        payload["error_code"] = failure["code"] if failure else None
    return {**payload, "seq": event.seq, "kind": event.kind, "at": event.created_at.isoformat()}


def _next_batch(
    engine: Engine, job_id: int, seq: int, reader: Actor
) -> tuple[list[dict[str, Any]], bool] | None:
    """Events, and whether they are the last; None for a reader who is no longer signed in."""
    with reading(engine) as session:
        if not is_still_there(session, reader):
            return None
        job = require_job(session, job_id)
        events = [as_dict(event) for event in events_after(session, job_id, seq)]
        last = events[-1]["seq"] if events else seq
        return events, job.is_final and last >= job.event_count


async def _events(
    engine: Engine, job_id: int, seq: int, streams: Streams, reader: Actor
) -> AsyncIterator[ServerSentEvent]:
    while True:
        batch = await to_thread.run_sync(_next_batch, engine, job_id, seq, reader, limiter=streams.threads)
        if batch is None:
            # Whoever connects again is told to sign in.
            return
        events, ended = batch
        for event in events:
            seq = event["seq"]
            yield ServerSentEvent(
                data=json.dumps(event, ensure_ascii=False),
                event=event["kind"],
                id=str(seq),
                retry=RETRY_MILLISECONDS,
            )
        if ended:
            yield ServerSentEvent(data="{}", event=STREAM_END, id=str(seq))
            return
        try:
            await asyncio.wait_for(streams.closing.wait(), POLL_SECONDS)
        except TimeoutError:
            continue
        return


class _CountedStream(EventSourceResponse):
    """One of the streams that its reader may have open."""

    def __init__(self, events: AsyncIterator[ServerSentEvent], streams: Streams, reader: Actor) -> None:
        super().__init__(events, ping=PING_SECONDS)
        self._streams, self._user_id = streams, reader.user_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses here, where it is known for certain how many are open."""
        if self._streams.open[self._user_id] >= STREAMS_EACH:
            error = TooMany(_TOO_MANY, count=STREAMS_EACH)
            await problem(error.status, error.translated(), code=error.code)(scope, receive, send)
            return
        self._streams.open[self._user_id] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.open[self._user_id] -= 1


def stream_events(
    engine: Engine,
    job_id: int,
    last_event_id: str | None,
    streams: Streams,
    reader: Actor,
    *,
    after: int = 0,
) -> EventSourceResponse:
    """The stream as a response; the caller has checked that the job exists. 429 for one more than a reader may have.

    `Last-Event-ID`, which a browser sends when it connects again, wins over `after`.
    """
    seq = after
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit():
        seq = min(int(last_event_id[:18]), 2**62)
    return _CountedStream(_events(engine, job_id, seq, streams, reader), streams, reader)
