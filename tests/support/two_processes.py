"""What a run in two processes trains wherever it is held against one process with twice the accumulation."""

import os
from typing import Any, Final

import pytest

from tests.support import small_runs
from tests.worker.conftest import Recorder
from worker.work.protocol import Control

# Batches that divide among two processes, epoch by epoch.
TRAINING, HELD_OUT = small_runs.exchanges()[:16], small_runs.exchanges()[16:20]
SETTINGS: Final[dict[str, Any]] = {
    "per_device_train_batch_size": 2,
    "per_device_eval_batch_size": 2,
    "lora_dropout": 0.0,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "constant",
    "warmup_ratio": 0.0,
    "eval_steps": 2,
}


@pytest.fixture(autouse=True)
def room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine of one core two processes take turns, which is slower and changes nothing of what they compute."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1})


class StoppingAt(Recorder):
    """Asks to stop and keep once a step has been told."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step, self.control = step, Control()

    def __call__(self, event: str, /, **payload: Any) -> None:
        super().__call__(event, **payload)
        if event == "progress" and payload["step"] == self.step:
            self.control.request_stop("save")
