"""Server-sent events of a job: replay after `Last-Event-ID`, then live, then close. Holds no session while waiting."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from anyio import CapacityLimiter, to_thread
from sqlalchemy import Engine
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.core.database import reading
from app.core.i18n import say
from app.jobs.events import STREAM_END, EventKind
from app.jobs.models import JobEvent
from app.jobs.service import events_after, require_job
from app.sentences import Failure, Sentence

POLL_SECONDS: Final = 0.5
PING_SECONDS: Final = 15
RETRY_MILLISECONDS: Final = 3000
# All open streams read through these: many readers neither fill the threads of the pages nor wait for them.
STREAM_THREADS: Final = 4


@dataclass
class Streams:
    """What the open streams of one server share: the sign to end themselves, set when it goes down, and their threads."""

    closing: asyncio.Event = field(default_factory=asyncio.Event)
    threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(STREAM_THREADS))


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


def _next_batch(engine: Engine, job_id: int, seq: int) -> tuple[list[dict[str, Any]], bool]:
    with reading(engine) as session:
        job = require_job(session, job_id)
        events = [as_dict(event) for event in events_after(session, job_id, seq)]
        last = events[-1]["seq"] if events else seq
        return events, job.is_final and last >= job.event_count


async def _events(engine: Engine, job_id: int, seq: int, streams: Streams) -> AsyncIterator[ServerSentEvent]:
    while True:
        events, ended = await to_thread.run_sync(_next_batch, engine, job_id, seq, limiter=streams.threads)
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


def stream_events(
    engine: Engine, job_id: int, last_event_id: str | None, streams: Streams, *, after: int = 0
) -> EventSourceResponse:
    """The stream as a response; the caller has checked that the job exists.

    `Last-Event-ID`, which a browser sends when it connects again, wins over `after`.
    """
    seq = after
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit():
        seq = min(int(last_event_id[:18]), 2**62)
    return EventSourceResponse(_events(engine, job_id, seq, streams), ping=PING_SECONDS)
