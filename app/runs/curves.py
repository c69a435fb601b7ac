"""Curves of a run from its events: one point a step, whatever was repeated after a rescue, thinned for a screen."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlmodel import Session, col, select

from app.jobs.events import EventKind
from app.jobs.models import Job, JobEvent

MAX_POINTS: Final = 2000
METRIC_FIELDS: Final = ("epoch", "loss", "learning_rate", "grad_norm", "tokens_per_second", "memory_bytes")
Point = dict[str, Any]


@dataclass
class Curves:
    """`metrics` and `evals` in order of step; `last_seq` is the event they are true up to."""

    last_seq: int
    metrics: list[Point] = field(default_factory=list)
    evals: list[Point] = field(default_factory=list)

    def add_metric(self, point: Point) -> None:
        """A training point. A step seen before means that a later attempt went back to a checkpoint."""
        _drop_from(self.metrics, point["step"])
        _drop_from(self.evals, point["step"] + 1)
        self.metrics.append(point)

    def add_eval(self, point: Point) -> None:
        """A point of the held-out loss."""
        _drop_from(self.evals, point["step"])
        self.evals.append(point)


def _drop_from(points: list[Point], step: int) -> None:
    while points and points[-1]["step"] >= step:
        points.pop()


def read_curves(session: Session, job: Job, *, max_points: int = MAX_POINTS) -> Curves:
    """The curves of a job's events so far."""
    curves = Curves(last_seq=job.event_count)
    statement = (
        select(JobEvent.kind, JobEvent.payload)
        .where(
            JobEvent.job_id == job.id,
            col(JobEvent.kind).in_((EventKind.METRIC, EventKind.EVAL)),
            col(JobEvent.seq) <= job.event_count,
        )
        .order_by(col(JobEvent.seq))
    )
    for kind, payload in session.exec(statement):
        step = payload.get("step")
        if not isinstance(step, int):
            continue
        if kind == EventKind.METRIC:
            curves.add_metric({"step": step, **{name: payload.get(name) for name in METRIC_FIELDS}})
        else:
            curves.add_eval({"step": step, "eval_loss": payload.get("eval_loss")})
    curves.metrics = thin(curves.metrics, max_points, ("loss", "grad_norm"))
    curves.evals = thin(curves.evals, max_points, ("eval_loss",))
    return curves


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
