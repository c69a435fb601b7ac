"""Runs whose steps are too large: the loss explodes, falls and then rises, or swings. At most one of them, the gravest."""

from typing import Final

import numpy as np

from app.diagnosis.findings import Curve, Evidence, Finding, FindingCode
from app.diagnosis.record import Record, Settings
from app.diagnosis.remedies import HELD_OUT_LOSS, TRAINING_LOSS, calmer, decaying, steadier
from app.diagnosis.statistics import Values, noise, smoothed, spread, swings
from app.sentences import N_, Sentence

# What stands this high for so many points in a row is no single bad batch.
_IN_A_ROW: Final = 3
# Worse than an untrained model: by this share of the first loss, and by so many standard deviations of the noise.
_ABOVE_START: Final = 0.1
_DEVIATIONS: Final = 5.0
# A jump, from the median of so many points: to so many times the loss, and by so many nats.
_JUMP_FROM: Final = 5
_JUMP_TIMES: Final = 2.0
_JUMP_NATS: Final = 1.0
# The training loss in windows: a sixteenth of the run, of so many points at least.
_WINDOW: Final = 6
_WINDOWS: Final = 16
# Standard errors of a difference of two windows that batches explain.
_ERRORS: Final = 5.0
# A fall, then a rise: shares of the loss at the beginning and of the lowest, and of the fall.
_FALL: Final = 0.03
_RISE: Final = 0.1
# Swings: shares of the loss at their foot, nats, and how many of them. The held-out loss has no noise of batches.
_SWING: Final = 0.05
_SWING_NATS: Final = 0.03
_SWING_OF_WINDOWS: Final = 0.15
_SWINGS: Final = 2

Points = list[tuple[int, float]]


def instability(record: Record, settings: Settings) -> Finding | None:
    """The gravest of the three."""
    points = record.points
    losses = np.array([loss for _step, loss in points])
    return (
        _broken(record, points, settings)
        or _explosion(points, losses, settings)
        or _fall_then_rise(points, losses, settings)
        or _oscillation(record, points, losses, settings)
    )


def _broken(record: Record, points: Points, settings: Settings) -> Finding | None:
    if record.broke_at is None:
        return None
    advice, changes = calmer(settings)
    before = [point for point in points if point[0] <= record.broke_at][-1:]
    return Finding(
        FindingCode.EXPLOSION,
        record.broke_at,
        record.broke_at,
        "loss",
        Sentence.of(N_("At step %(step)d the loss stopped being a number."), step=record.broke_at),
        tuple(Evidence(TRAINING_LOSS, *point) for point in before),
        advice,
        changes,
    )


def _explosion(points: Points, losses: Values, settings: Settings) -> Finding | None:
    if len(losses) < _JUMP_FROM + _IN_A_ROW:
        return None
    places = [place for place in (_above_start(losses), _jumped(losses)) if place is not None]
    if not places:
        return None
    place = min(places)
    peak = place + int(np.argmax(losses[place : place + _IN_A_ROW]))
    advice, changes = calmer(settings)
    return Finding(
        FindingCode.EXPLOSION,
        points[place][0],
        points[-1][0],
        "loss",
        Sentence.of(
            N_("At step %(step)d the training loss jumps up and stays there: steps were too large."),
            step=points[place][0],
        ),
        (Evidence(TRAINING_LOSS, *points[max(0, place - 1)]), Evidence(TRAINING_LOSS, *points[peak])),
        advice,
        changes,
    )


def _above_start(losses: Values) -> int | None:
    """Where the loss begins to be worse than before any training."""
    # The first point alone may be all that there is from before.
    start = min(float(losses[0]), float(np.median(losses[:_IN_A_ROW])))
    return _first_in_a_row(losses > start + max(_ABOVE_START * start, _DEVIATIONS * noise(losses)))


def _jumped(losses: Values) -> int | None:
    """Where the loss is at once far above what it was, and does not come back at once."""
    before = np.median(np.lib.stride_tricks.sliding_window_view(losses, _JUMP_FROM), axis=1)
    limits = np.maximum(_JUMP_TIMES * before, before + _JUMP_NATS)[:-_IN_A_ROW]
    following = np.lib.stride_tricks.sliding_window_view(losses[_JUMP_FROM:], _IN_A_ROW)
    jumps = np.flatnonzero((following > limits[:, None]).all(axis=1))
    return _JUMP_FROM + int(jumps[0]) if len(jumps) else None


def _first_in_a_row(found: np.ndarray[tuple[int], np.dtype[np.bool]]) -> int | None:
    rows = np.lib.stride_tricks.sliding_window_view(found, _IN_A_ROW).all(axis=1)
    return int(np.argmax(rows)) if bool(rows.any()) else None


def _fall_then_rise(points: Points, losses: Values, settings: Settings) -> Finding | None:
    width = _width(losses)
    if len(losses) < 3 * width:
        return None
    means, error = smoothed(losses, width), spread(losses) * (2 / width) ** 0.5
    low = int(np.argmin(means))
    began, lowest, now = float(means[0]), float(means[low]), float(means[-1])
    if len(means) - 1 - low < width or began - lowest < max(_FALL * began, error):
        return None
    if now - lowest < max(_RISE * lowest, _RISE * (began - lowest), _ERRORS * error):
        return None
    foot = points[low + width // 2][0]
    advice, changes = decaying(settings)
    return Finding(
        FindingCode.FALL_THEN_RISE,
        foot,
        points[-1][0],
        "loss",
        Sentence.of(
            N_(
                "The training loss fell until about step %(step)d and has risen since: the learning rate was too large to "
                "go on with."
            ),
            step=foot,
        ),
        (
            Evidence(TRAINING_LOSS, points[width // 2][0], began),
            Evidence(TRAINING_LOSS, foot, lowest),
            Evidence(TRAINING_LOSS, points[-1][0], now),
        ),
        advice,
        changes,
    )


def _oscillation(record: Record, points: Points, losses: Values, settings: Settings) -> Finding | None:
    """Told by the held-out loss where it was measured often enough, else by the training loss's windows."""
    evals = [(point.step, point.loss) for point in record.evals if point.loss is not None]
    found = swings([loss for _, loss in evals], _SWING, _SWING_NATS)
    if len(found) >= _SWINGS:
        return _swinging(evals, found, "eval_loss", settings)
    width = _width(losses)
    if len(losses) < 4 * width:
        return None
    means, error = smoothed(losses, width), spread(losses) * (2 / width) ** 0.5
    found = swings(means.tolist(), _SWING_OF_WINDOWS, _ERRORS * error)
    if len(found) < _SWINGS:
        return None
    middle = [(points[place + width // 2][0], float(mean)) for place, mean in enumerate(means)]
    return _swinging(middle, found, "loss", settings)


def _swinging(curve: Points, found: list[tuple[int, int]], name: Curve, settings: Settings) -> Finding:
    label = HELD_OUT_LOSS if name == "eval_loss" else TRAINING_LOSS
    advice, changes = steadier(settings)
    first, last = curve[found[0][0]][0], curve[found[-1][1]][0]
    return Finding(
        FindingCode.OSCILLATION,
        first,
        last,
        name,
        Sentence.of(
            N_("Between the steps %(first)d and %(last)d the loss goes up and down %(count)d times."),
            first=first,
            last=last,
            count=len(found),
        ),
        tuple(Evidence(label, *curve[place]) for pair in found[:2] for place in pair),
        advice,
        changes,
    )


def _width(losses: Values) -> int:
    return max(_WINDOW, len(losses) // _WINDOWS)
