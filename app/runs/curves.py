"""Curves of a run from its events: one point a step, whatever was repeated after a rescue, thinned for a screen."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json
from sqlalchemy import Select, Text, cast, select
from sqlmodel import Session, col

from app.jobs.events import EventKind, MetricPayload
from app.jobs.models import Job, JobEvent

MAX_POINTS: Final = 2000
# What an event of a step measures; how much memory the machine has is no curve.
METRIC_FIELDS: Final = tuple(
    name for name in MetricPayload.__annotations__ if name != "step" and not name.endswith("_total_bytes")
)
# What events of earlier programs may lack.
_NOTHING: Final = dict.fromkeys(METRIC_FIELDS)
_MEASURED: Final = frozenset(METRIC_FIELDS)
_KNOWN: Final = "curves of jobs"
# Above every step.
_FAR: Final = 2**62
KINDS: Final = (EventKind.METRIC, EventKind.EVAL, EventKind.CHECKPOINT, EventKind.RESTORED)
Point = dict[str, Any]


@dataclass
class Curves:
    """`metrics`, `evals` and the steps of `checkpoints` in order of step; `last_seq` is the event they are true up to.

    `whole` training points were measured, of which `metrics` may be a part.
    """

    last_seq: int
    metrics: list[Point] = field(default_factory=list)
    evals: list[Point] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)
    whole: int = 0

    def between(self, first: int, last: int) -> None:
        """Keep what lies between two steps, both included, and the points beside them, so that lines go on."""
        self.metrics, self.evals = (_between(points, first, last) for points in (self.metrics, self.evals))
        self.checkpoints = [step for step in self.checkpoints if first <= step <= last]


def _between(points: list[Point], first: int, last: int) -> list[Point]:
    start = bisect_left(points, first, key=lambda point: int(point["step"]))
    end = bisect_right(points, last, key=lambda point: int(point["step"]))
    return points[max(0, start - 1) : end + 1]


def read_curves(
    session: Session,
    job: Job,
    *,
    max_points: int = MAX_POINTS,
    steps: tuple[int, int] | None = None,
) -> Curves:
    """The curves of a job's events so far, all or between two `steps`, thinned to so many points each."""
    curves = read_whole_curves(session, job)
    if steps is not None:
        curves.between(*steps)
    curves.metrics = thin(curves.metrics, max_points, ("loss", "grad_norm"))
    curves.evals = thin(curves.evals, max_points, ("eval_loss", "mixed_loss"))
    return curves


def read_whole_curves(session: Session, job: Job) -> Curves:
    """The same with every point."""
    # A page asks for them for its table, its diagnosis and its checklist: they are read once a session.
    known: dict[tuple[int | None, int], Curves] = session.info.setdefault(_KNOWN, {})
    told = (job.id, job.event_count)
    if told not in known:
        known[told] = _read(session, job)
    found = known[told]
    return replace(
        found,
        metrics=list(found.metrics),
        evals=list(found.evals),
        checkpoints=list(found.checkpoints),
    )


def _read(session: Session, job: Job) -> Curves:
    # As text: read all at once, tens of thousands of small documents take a third of the time.
    asked = select(col(JobEvent.kind), cast(col(JobEvent.payload), Text))
    told = session.connection().execute(events_of(asked, job)).all()
    payloads = from_json(f"[{','.join(text for _kind, text in told)}]")
    kinds = [kind for kind, _text in told]
    numbers = {str(kind): number for number, kind in enumerate(KINDS)}
    stays = still_true(
        np.array([numbers[kind] for kind in kinds], np.int8),
        np.array([payload["step"] for payload in payloads], np.int64),
    )
    curves = Curves(last_seq=job.event_count)
    for kind, payload in compress(zip(kinds, payloads, strict=True), stays.tolist()):
        if kind == EventKind.METRIC:
            curves.metrics.append(payload if payload.keys() >= _MEASURED else {**_NOTHING, **payload})
        elif kind == EventKind.EVAL:
            losses = {name: payload.get(name) for name in ("eval_loss", "mixed_loss")}
            curves.evals.append({"step": payload["step"], **losses})
        elif kind == EventKind.CHECKPOINT:
            curves.checkpoints.append(payload["step"])
    curves.whole = len(curves.metrics)
    return curves


def events_of(asked: Select[*tuple[Any, ...]], job: Job, *, after: int = 0) -> Select[*tuple[Any, ...]]:
    """What is asked of a job's events behind number `after` that make its curves, in their order."""
    return asked.where(
        col(JobEvent.job_id) == job.id,
        col(JobEvent.seq) > after,
        col(JobEvent.seq) <= job.event_count,
        col(JobEvent.kind).in_(KINDS),
    ).order_by(col(JobEvent.seq))


def still_true(kinds: npt.NDArray[np.int8], steps: npt.NDArray[np.int64]) -> npt.NDArray[np.bool]:
    """Of events in the order in which they were told, those that no later attempt took back, by going on from an earlier step or
    by telling one again.

    An attempt that goes on takes back everything after its step; a training point those of its step and what was measured or
    kept after it; a held-out loss and a checkpoint those of their own kind. bool[n], for n kinds (places in KINDS) and steps.
    """
    stays = np.ones(len(steps), bool)
    if not len(steps):
        return stays
    for number, kind in enumerate(KINDS):
        of_kind = kinds == number
        lowest = _lowest_after(steps, of_kind)
        if kind in (EventKind.METRIC, EventKind.RESTORED):
            stays &= steps <= lowest
        stays &= ~of_kind | (steps < lowest)
    return stays


def _lowest_after(steps: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool]) -> npt.NDArray[np.int64]:
    """For each place the lowest step among the chosen ones behind it; far above every step where there is none."""
    lowest = np.where(chosen, steps, _FAR)
    lowest[:-1] = np.minimum.accumulate(lowest[::-1])[::-1][1:]
    lowest[-1] = _FAR
    return lowest


def thin(points: list[Point], max_points: int, keep_extremes_of: tuple[str, ...]) -> list[Point]:
    """At most `max_points`, with the first, the last and every bucket's lowest and highest, so that spikes stay."""
    if len(points) <= max_points:
        return points
    inner = points[1:-1]
    buckets = max(1, (max_points - 2) // (2 * len(keep_extremes_of)))
    kept: dict[int, Point] = {0: points[0], len(points) - 1: points[-1]}
    for bucket in range(buckets):
        start = bucket * len(inner) // buckets
        end = (bucket + 1) * len(inner) // buckets
        places = range(start, end)
        if not places:
            continue
        for name in keep_extremes_of:
            for pick in (min, max):
                place = pick(places, key=_value_at(inner, name))
                kept[place + 1] = inner[place]
    return [kept[place] for place in sorted(kept)]


def _value_at(points: list[Point], name: str) -> Callable[[int], float]:
    """What a place is judged by; a gap counts as nothing special."""
    return lambda place: points[place][name] if points[place][name] is not None else 0.0
