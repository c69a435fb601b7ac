"""Every loss of a run, for its diagnosis, its checkpoints and its comparison; what was read once is kept in memory.

Events are only ever added to a job, and what a later attempt takes back is worked out from all of them, so what was read stays
true: a run that goes on for days is asked for its findings again and again, and only what is new of it is read.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import case, select
from sqlmodel import Session, col

from app.diagnosis import EvalPoint, TrainPoint
from app.jobs.events import EventKind
from app.jobs.models import Job, JobEvent
from app.runs.curves import KINDS, events_of, still_true

# How many jobs are kept: some five megabytes each at fifty thousand points.
_MOST_JOBS: Final = 4
# What is shorter is read in no time.
_LEAST_EVENTS: Final = 2000


@dataclass(frozen=True)
class Losses:
    """Training points without what else was measured, held-out losses and the steps of checkpoints, in order of step."""

    train: Sequence[TrainPoint] = ()
    evals: Sequence[EvalPoint] = ()
    checkpoints: Sequence[int] = ()

    @property
    def before(self) -> float | None:
        """The held-out loss from before any training; None where it was not measured."""
        first = self.evals[0] if self.evals else None
        return first.loss if first and not first.step else None

    @property
    def best(self) -> tuple[float, int] | None:
        """The lowest held-out loss after some training, and its step; None where none was measured."""
        after = [(point.loss, point.step) for point in self.evals if point.step and point.loss is not None]
        return min(after, default=None)

    @property
    def never_fell(self) -> bool:
        """Whether no measurement came below the one from before any training."""
        return self.before is not None and self.best is not None and self.best[0] >= self.before


@dataclass(frozen=True)
class _Told:
    """Events of a job up to number `seq`: kind (its place in KINDS), step, and loss, NaN where it has none."""

    seq: int = 0
    kinds: npt.NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))
    steps: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    losses: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0, np.float64))
    found: Losses = Losses()


_kept: OrderedDict[tuple[object, ...], _Told] = OrderedDict()
_lock: Final = Lock()


def read_losses(session: Session, job: Job) -> Losses:
    """Those of a job's events so far."""
    key = (session.get_bind().engine.url, job.id, job.created_at)
    with _lock:
        known = _kept.get(key, _Told())
    # A session that began earlier sees less than is kept.
    told = _further(session, job, known if known.seq <= job.event_count else _Told())
    if told.seq >= _LEAST_EVENTS and told.seq > known.seq:
        with _lock:
            _kept[key] = told
            _kept.move_to_end(key)
            while len(_kept) > _MOST_JOBS:
                _kept.popitem(last=False)
    return told.found


def _further(session: Session, job: Job, known: _Told) -> _Told:
    """The same with what was told since."""
    if known.seq == job.event_count:
        return known
    payload = col(JobEvent.payload)
    loss = case(
        (col(JobEvent.kind) == EventKind.EVAL, payload["eval_loss"].as_float()),
        else_=payload["loss"].as_float(),
    )
    asked = select(col(JobEvent.kind), payload["step"].as_integer(), loss)
    rows = session.connection().execute(events_of(asked, job, after=known.seq)).all()
    kinds, steps, losses = zip(*rows, strict=True) if rows else ((), (), ())
    numbers = {str(kind): number for number, kind in enumerate(KINDS)}
    every_kind = np.append(known.kinds, np.array([numbers[kind] for kind in kinds], np.int8))
    every_step = np.append(known.steps, np.array(steps, np.int64))
    every_loss = np.append(known.losses, np.array(losses, np.float64))
    found = _found(every_kind, every_step, every_loss) if rows else known.found
    return _Told(job.event_count, every_kind, every_step, every_loss, found)


def _found(
    kinds: npt.NDArray[np.int8], steps: npt.NDArray[np.int64], losses: npt.NDArray[np.float64]
) -> Losses:
    stays = still_true(kinds, steps)

    def of_kind(kind: EventKind) -> tuple[list[int], list[float | None]]:
        chosen = stays & (kinds == KINDS.index(kind))
        values = losses[chosen].tolist()
        return steps[chosen].tolist(), [None if isnan(value) else value for value in values]

    return Losses(
        list(map(TrainPoint, *of_kind(EventKind.METRIC))),
        list(map(EvalPoint, *of_kind(EventKind.EVAL))),
        of_kind(EventKind.CHECKPOINT)[0],
    )
