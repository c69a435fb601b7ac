"""Overfitting: the training loss falls on while the held-out loss rises."""

from typing import Final

import numpy as np

from app.diagnosis.findings import Evidence, Finding, FindingCode
from app.diagnosis.record import Record, Settings
from app.diagnosis.remedies import HELD_OUT_LOSS, TRAINING_LOSS, shorter
from app.sentences import N_, Sentence

# So many measurements in a row without a new best, the newest among the worst of them: less is a wobble.
_WITHOUT_BEST: Final = 2
# The rise that counts: a share of the best loss, and nats. Healthy runs measured: up to 1.5 % and 0.02.
_SHARE: Final = 0.03
_NATS: Final = 0.03
# How many training points are averaged on each side.
_POINTS: Final = 8


def overfitting(record: Record, settings: Settings) -> Finding | None:
    """From the best held-out loss on, if that is over."""
    evals = [(point.step, point.loss) for point in record.evals if point.loss is not None]
    if len(evals) < _WITHOUT_BEST + 1:
        return None
    best = min(range(len(evals)), key=lambda place: evals[place][1])
    (best_step, best_loss), (now_step, now_loss) = evals[best], evals[-1]
    after = [loss for _, loss in evals[best + 1 :]]
    if len(after) < _WITHOUT_BEST or min(after[-_WITHOUT_BEST:]) - best_loss < max(_SHARE * best_loss, _NATS):
        return None
    trained_then, trained_now = _trained_around(record, best_step), _trained_around(record, now_step)
    if trained_then is None or trained_now is None or trained_now >= trained_then:
        return None
    advice, changes = shorter(settings, record, best_step)
    return Finding(
        FindingCode.OVERFITTING,
        best_step,
        now_step,
        "eval_loss",
        Sentence.of(
            N_(
                "Since step %(best)d the training loss falls and the held-out loss rises: what the model still learns is "
                "the training set, not the task."
            ),
            best=best_step,
        ),
        (
            Evidence(HELD_OUT_LOSS, best_step, best_loss),
            Evidence(HELD_OUT_LOSS, now_step, now_loss),
            Evidence(TRAINING_LOSS, best_step, trained_then),
            Evidence(TRAINING_LOSS, now_step, trained_now),
        ),
        advice,
        changes,
    )


def _trained_around(record: Record, step: int) -> float | None:
    """Mean training loss of the points up to a step, of the first ones where it is the first step."""
    before = [point.loss for point in record.train if point.loss is not None and point.step <= step]
    points = before[-_POINTS:] if before else [p.loss for p in record.train[:_POINTS] if p.loss is not None]
    return float(np.mean(points)) if points else None
