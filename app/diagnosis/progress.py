"""No decrease: after half of the run the loss is where it began."""

from typing import Final

import numpy as np

from app.diagnosis.findings import Evidence, Finding, FindingCode
from app.diagnosis.record import Record, Settings
from app.diagnosis.remedies import HELD_OUT_LOSS, TRAINING_LOSS, bolder
from app.diagnosis.statistics import noise
from app.sentences import N_, Sentence

# Before that a warm-up may still go on.
_SHARE_OF_RUN: Final = 0.5
_POINTS: Final = 12
# A fall below this share of the beginning is none. The slowest healthy run measured: 1.2 % at half of its steps.
_SHARE: Final = 0.005
# Nothing is left to learn below this (nats).
_LEARNED: Final = 0.1
# So many standard errors lie between what noise explains and a fall.
_ERRORS: Final = 2.0


def no_decrease(record: Record, settings: Settings) -> Finding | None:
    """Judged by the held-out loss where it was measured: it has no noise of batches."""
    points = record.points
    if len(points) < _POINTS:
        return None
    losses = np.array([loss for _step, loss in points])
    done, in_all = (step - record.begins_at for step in (points[-1][0], record.total_steps or points[-1][0]))
    if done < _SHARE_OF_RUN * in_all:
        return None
    third = len(losses) // 3
    began, now = float(losses[:third].mean()), float(losses[-third:].mean())
    error = noise(losses) * (2 / third) ** 0.5
    if (
        began < _LEARNED
        or began - now > max(_SHARE * began, _ERRORS * error)
        or now - began > _ERRORS * error
    ):
        return None
    evals = [(point.step, point.loss) for point in record.evals if point.loss is not None]
    if len(evals) > 1 and evals[0][1] - min(loss for _, loss in evals[1:]) > _SHARE * evals[0][1]:
        return None
    shown = (
        [Evidence(HELD_OUT_LOSS, *evals[0]), Evidence(HELD_OUT_LOSS, *evals[-1])] if len(evals) > 1 else []
    )
    advice, changes = bolder(settings)
    return Finding(
        FindingCode.NO_DECREASE,
        points[third][0],
        points[-1][0],
        "loss",
        Sentence.of(
            N_("After step %(step)d the loss is where it began: nothing is learned at this learning rate."),
            step=points[-1][0],
        ),
        (
            Evidence(TRAINING_LOSS, points[third - 1][0], began),
            Evidence(TRAINING_LOSS, points[-1][0], now),
            *shown,
        ),
        advice,
        changes,
    )
