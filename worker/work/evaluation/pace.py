"""How fast this machine answers, measured on some of the prompts before any answer counts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.evaluations.parts import evenly
from worker.work.evaluation.generation import decode
from worker.work.evaluation.loading import LoadedModel
from worker.work.protocol import Control

Prompts = Sequence[Sequence[int]]
# Rows that a step is measured with, beside one alone; and how many steps are timed.
_ROWS: Final = 8
_STEPS: Final = 6


@dataclass(frozen=True)
class Pace:
    """Seconds: to read a token of a prompt; for a step in which every row writes a token; more for each of its rows."""

    token: float
    step: float
    row: float

    def of_answers(self, prompts: Prompts, most_tokens: int, batch_size: int) -> float:
        """For one side's answers to these prompts, each as long as it may be."""
        batches = -(-len(prompts) // batch_size)
        written = most_tokens * (batches * self.step + len(prompts) * self.row)
        return self.of_reading(prompts) + written

    def of_reading(self, texts: Prompts) -> float:
        """For one pass over these texts."""
        return sum(map(len, texts)) * self.token


def measure(loaded: LoadedModel, model: Any, prompts: Prompts, control: Control) -> Pace:
    """The pace of this machine with some of these prompts. Raises Cancelled."""
    some = [prompts[place] for place in evenly(len(prompts), min(_ROWS, len(prompts)))]
    _seconds(loaded, model, some[:1], 1, control)  # what happens the first time only
    read, wrote = (_seconds(loaded, model, some, tokens, control) for tokens in (1, 1 + _STEPS))
    alone_read, alone_wrote = (
        _seconds(loaded, model, some[:1], tokens, control) for tokens in (1, 1 + _STEPS)
    )
    together, alone = max(0.0, wrote - read) / _STEPS, max(0.0, alone_wrote - alone_read) / _STEPS
    row = max(0.0, together - alone) / max(1, len(some) - 1)
    return Pace(read / sum(map(len, some)), max(0.0, together - row * len(some)), row)


def _seconds(loaded: LoadedModel, model: Any, prompts: Prompts, tokens: int, control: Control) -> float:
    began = time.monotonic()
    for _answer in decode(loaded, model, prompts, tokens, control):
        pass
    return time.monotonic() - began
