"""How the demo's ten minutes are shared: by what is left of them, so that a slow start leaves less to train and to answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

MINUTES: Final = 10.0
# At most, however quick the machine: enough to be seen in the answers, and every case of a suite.
TRAINING: Final = 5.0
EVALUATION: Final = 1.25
_LEAST: Final = 0.25
# Before a job's own budget begins, on a processor without the units that others have: libraries and weights are loaded.
_BEFORE_TRAINING: Final = 1.0
_BEFORE_EVALUATION: Final = 0.25
# For the report, and whatever else the machine does.
_RESERVE: Final = 0.25


@dataclass
class Budget:
    """Minutes that jobs may take, from the demo's beginning on. `now` tells seconds."""

    now: Callable[[], float] = time.monotonic
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.now()

    @property
    def left(self) -> float:
        """Minutes, less those set aside."""
        return MINUTES - _RESERVE - (self.now() - self.began) / 60

    def training(self, evaluations: int) -> float:
        """For a run that so many evaluations follow, minutes."""
        later = evaluations * (EVALUATION + _BEFORE_EVALUATION)
        return _within(self.left - later - _BEFORE_TRAINING, TRAINING)

    def evaluation(self, still_to_come: int) -> float:
        """For the next of so many evaluations, minutes."""
        return _within(self.left / still_to_come - _BEFORE_EVALUATION, EVALUATION)


def _within(minutes: float, most: float) -> float:
    return round(min(most, max(_LEAST, minutes)), 2)
