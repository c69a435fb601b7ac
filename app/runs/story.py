"""What happened in a run, in the reader's words: the events that are worth a line each, not the curves."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select

from app.core.formatting import number
from app.core.i18n import say, translate
from app.jobs.events import EventKind, Phase
from app.jobs.models import Job, JobEvent
from app.sentences import N_, Failure, Sentence

MAX_LINES: Final = 200
_KINDS: Final = (EventKind.STATE, EventKind.PHASE, EventKind.LOG, EventKind.EVAL, EventKind.CHECKPOINT)

_STATES: Final = {
    "queued": N_("Waits for a worker."),
    "running": N_("A worker begins attempt %(attempt)s."),
    "succeeded": N_("Done."),
    "failed": N_("Failed."),
    "cancelled": N_("Cancelled."),
    "paused": N_("Paused: the place is free for others."),
}
_RESUMED: Final = N_("Goes on as soon as a worker is free.")
_HANDED_BACK: Final = N_("The worker is gone or was told to stop: back in the queue.")
_PHASES: Final[dict[str, str]] = {
    Phase.PREPARING_DATA: N_("Reads the data."),
    Phase.LOADING_MODEL: N_("Loads the base model."),
    Phase.TRAINING: N_("Training begins."),
}
_EVAL: Final = N_("Held-out loss %(loss)s after step %(step)s.")
_CHECKPOINT: Final = N_("Checkpoint written after step %(step)s.")


@dataclass(frozen=True)
class StoryLine:
    """One line: when, how grave (`info`, `warning`, `error`) and a sentence in the reader's language."""

    at: datetime
    level: str
    text: str


def read_story(session: Session, job: Job) -> list[StoryLine]:
    """The newest lines of a job's story, oldest first, at most `MAX_LINES`."""
    statement = (
        select(JobEvent)
        .where(JobEvent.job_id == job.id, col(JobEvent.kind).in_(_KINDS))
        .order_by(col(JobEvent.seq))
    )
    return list(_lines(session.exec(statement)))[-MAX_LINES:]


def _lines(events: Iterable[JobEvent]) -> Iterable[StoryLine]:
    said: set[str] = set()
    for event in events:
        payload = event.payload
        if event.kind == EventKind.STATE:
            yield _state_line(event, was_running="running" in said)
            said = {payload["state"]}
        elif event.kind == EventKind.PHASE:
            # Training alternates with measuring and saving, which have lines of their own.
            sentence = _PHASES.get(payload["phase"])
            if sentence and sentence not in said:
                said.add(sentence)
                yield StoryLine(event.created_at, "info", translate(sentence, {}))
        elif event.kind == EventKind.LOG:
            text = say(Sentence.stored_in(payload))
            yield StoryLine(event.created_at, str(payload.get("level", "info")), text)
        elif event.kind == EventKind.EVAL:
            loss = payload.get("eval_loss")
            figures = {"loss": "—" if loss is None else f"{loss:.4f}", "step": number(payload.get("step"))}
            yield StoryLine(event.created_at, "info", translate(_EVAL, figures))
        else:
            yield StoryLine(
                event.created_at, "info", translate(_CHECKPOINT, {"step": number(payload.get("step"))})
            )


def _state_line(event: JobEvent, *, was_running: bool) -> StoryLine:
    payload: dict[str, Any] = event.payload
    state = str(payload["state"])
    if payload.get("failure"):
        text = say(Failure.from_json(payload["failure"]).sentence)
        return StoryLine(event.created_at, "error" if state == "failed" else "warning", text)
    if payload.get("resumed"):
        return StoryLine(event.created_at, "info", translate(_RESUMED, {}))
    if state == "queued" and was_running:
        return StoryLine(event.created_at, "warning", translate(_HANDED_BACK, {}))
    return StoryLine(
        event.created_at,
        "error" if state == "failed" else "info",
        translate(_STATES.get(state, state), {"attempt": payload.get("attempt", "")}),
    )
