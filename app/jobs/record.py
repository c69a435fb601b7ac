"""What a child tells that nothing can tell again, kept in its attempt's folder until the job has ended.

A worker that is lost takes with it what it had not stored yet, up to a second of it, and a checkpoint may have been
written meanwhile: the next attempt goes on behind it and would never measure those steps again.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, cast

from app.jobs.events import EventKind, EventPayload

RECORD: Final = "told.jsonl"
RECORDED: Final = (EventKind.METRIC, EventKind.EVAL, EventKind.SAMPLE, EventKind.CHECKPOINT)
Told = tuple[EventKind, EventPayload]


def line_of(kind: EventKind, payload: Mapping[str, object]) -> str:
    """The record's line of an event; `payload` is plain JSON. The same for payloads that are equal."""
    return json.dumps([kind.value, payload], ensure_ascii=False, sort_keys=True)


def read_record(folder: Path) -> Iterator[Told]:
    """What the attempt of this folder told, in order; nothing where it kept no record. A last line that is torn is none."""
    try:
        with (folder / RECORD).open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    kind, payload = json.loads(line)
                    yield EventKind(kind), cast(EventPayload, payload)
                except (ValueError, TypeError):
                    continue
    except FileNotFoundError:
        return


def after_the_last_stored(told: Iterable[Told], stored: Iterable[Told]) -> list[Told]:
    """What of `told` was never stored: they are stored in order, so it is what comes after the last that was."""
    known = {line_of(kind, payload) for kind, payload in stored}
    left: list[Told] = []
    for kind, payload in told:
        if line_of(kind, payload) in known:
            left.clear()
        else:
            left.append((kind, payload))
    return left
