"""Curves of a run from its events: one point a step, whatever was repeated after a rescue, thinned for a screen."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress, starmap
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json
from sqlalchemy import Select, Text, case, cast, select
from sqlmodel import Session, col

from app.diagnosis import EvalPoint, TrainPoint
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
_KNOWN_LOSSES: Final = "losses of jobs"
# Above every step.
_FAR: Final = 2**62
_KINDS: Final = (EventKind.METRIC, EventKind.EVAL, EventKind.CHECKPOINT)
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


@dataclass(frozen=True)
class Losses:
    """Training points without what else was measured, held-out losses and the steps of checkpoints, in order of step."""

    train: list[TrainPoint] = field(default_factory=list)
    evals: list[EvalPoint] = field(default_factory=list)
    checkpoints: list[int] = field(default_factory=list)


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
    statement = _told(job, JobEvent.kind, cast(col(JobEvent.payload), Text))
    told = session.connection().execute(statement).all()
    payloads = from_json(f"[{','.join(text for _kind, text in told)}]")
    kinds = [kind for kind, _text in told]
    stays = still_true(kinds, [payload["step"] for payload in payloads])
    curves = Curves(last_seq=job.event_count)
    for kind, payload in compress(zip(kinds, payloads, strict=True), stays.tolist()):
        if kind == EventKind.METRIC:
            curves.metrics.append(payload if payload.keys() >= _MEASURED else {**_NOTHING, **payload})
        elif kind == EventKind.EVAL:
            losses = {name: payload.get(name) for name in ("eval_loss", "mixed_loss")}
            curves.evals.append({"step": payload["step"], **losses})
        else:
            curves.checkpoints.append(payload["step"])
    curves.whole = len(curves.metrics)
    return curves


def read_losses(session: Session, job: Job) -> Losses:
    """Every loss of a job's events so far, and the steps of its checkpoints: in half the time of the whole curves, without epochs."""
    known: dict[tuple[int | None, int], Losses] = session.info.setdefault(_KNOWN_LOSSES, {})
    told = (job.id, job.event_count)
    if told not in known:
        known[told] = _read_losses(session, job)
    return known[told]


def _read_losses(session: Session, job: Job) -> Losses:
    payload = col(JobEvent.payload)
    loss = case(
        (col(JobEvent.kind) == EventKind.EVAL, payload["eval_loss"].as_float()),
        else_=payload["loss"].as_float(),
    )
    columns = (JobEvent.kind, payload["step"].as_integer(), loss)
    told = session.connection().execute(_told(job, *columns)).all()
    if not told:
        return Losses()
    kinds, steps, losses = zip(*told, strict=True)
    names, stays = np.array(kinds), still_true(kinds, steps)

    def of_kind(kind: EventKind) -> Iterator[tuple[int, float | None]]:
        return compress(zip(steps, losses, strict=True), (stays & (names == kind)).tolist())

    return Losses(
        list(starmap(TrainPoint, of_kind(EventKind.METRIC))),
        list(starmap(EvalPoint, of_kind(EventKind.EVAL))),
        [step for step, _loss in of_kind(EventKind.CHECKPOINT)],
    )


def _told(job: Job, *columns: Any) -> Select[Any]:
    """What is asked of a job's events up to now, in their order."""
    return (
        select(*columns)
        .where(
            col(JobEvent.job_id) == job.id,
            col(JobEvent.seq) <= job.event_count,
            col(JobEvent.kind).in_(_KINDS),
        )
        .order_by(col(JobEvent.seq))
    )


def still_true(kinds: Sequence[str], steps: Sequence[int]) -> npt.NDArray[np.bool]:
    """Of events in the order in which they were told, those that no later attempt took back by telling an earlier step again.

    A training point takes back those of its step and what was measured or kept after it; a held-out loss and a checkpoint
    those of their own kind. bool[n], for n kinds and steps.
    """
    at, told = np.array(steps, np.int64), np.array(kinds)
    stays = np.ones(len(at), bool)
    if not len(at):
        return stays
    for kind in _KINDS:
        of_kind = told == kind
        lowest = _lowest_after(at, of_kind)
        if kind == EventKind.METRIC:
            stays &= at <= lowest
        stays &= ~of_kind | (at < lowest)
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
