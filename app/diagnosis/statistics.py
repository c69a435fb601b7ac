"""Means, noise and swings of a curve."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
# Of normally distributed values, the median of their distances is so many standard deviations.
_MEDIAN_OF_NORMAL: Final = 0.6745


def noise(values: Values) -> float:
    """Standard deviation of what differs from point to point, whatever the trend; single jumps do not count."""
    if len(values) < 3:
        return 0.0
    return float(np.median(np.abs(np.diff(values)))) / (_MEDIAN_OF_NORMAL * 2**0.5)


def spread(values: Values) -> float:
    """The same with single jumps counted: never below `noise` by much, and above it where values have far outliers."""
    return float(np.std(np.diff(values))) / 2**0.5 if len(values) > 2 else 0.0


def smoothed(values: Values, width: int) -> Values:
    """Means over `width` points each; the result has `len(values) - width + 1` of them."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    means: Values = (sums[width:] - sums[:-width]) / width
    return means


def swings(values: Sequence[float], share: float, least: float = 0.0) -> list[tuple[int, int]]:
    """Rises between two falls, each as (place of the foot, place of the peak).

    Rise and falls are each at least `share` of the value at their lower end, and at least `least`.
    """
    found: list[tuple[int, int]] = []
    low = high = 0
    foot: int | None = None
    rising: bool | None = None
    for place, value in enumerate(values):
        low = place if value < values[low] else low
        high = place if value > values[high] else high
        if rising is not True and value - values[low] >= max(share * values[low], least):
            # A rise before any fall starts from nothing that was reached.
            foot = low if rising is False else None
            rising, high = True, place
        elif rising is not False and values[high] - value >= max(share * value, least):
            if foot is not None:
                found.append((foot, high))
            rising, low, foot = False, place, None
    return found
