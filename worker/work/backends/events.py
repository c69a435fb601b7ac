"""What a tool's observer tells, as the events that page and curve know; its tokens are compared on the way."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from app.jobs.events import Emit, EventKind, Phase
from app.sentences import FailureCode
from worker.work.backends.checkpoints import Record, Window, mean_loss, record
from worker.work.backends.comparison import Comparison
from worker.work.protocol import JobFailed
from worker.work.training.callbacks import LOSS_IS_NO_NUMBER
from worker.work.training.devices import machine_load


@dataclass
class Ended:
    """How far the tool came: `best_step` where it put the weights with the lowest held-out loss back, `measured_at` the
    step of its last measurement.
    """

    step: int
    total_steps: int
    train_loss: float | None
    best_step: int | None
    peak_memory_bytes: int | None
    measured_at: int | None


class Listener:
    """Takes the observer's messages one by one. `ready` says that every token was compared and training may begin."""

    def __init__(
        self,
        comparison: Comparison,
        emit: Emit,
        workplace: Path | None = None,
        begins: Record | None = None,
        versions: Sequence[str] = (),
    ) -> None:
        """`workplace` is where its checkpoints are recorded, as of these `versions` of the tool; `begins` the one from which it goes on."""
        self.comparison, self.emit, self.versions = comparison, emit, versions
        self.workplace, self.begins = workplace, begins
        self.windows = [Window(*window) for window in begins.windows] if begins else []
        self._logged_at = begins.step if begins else 0
        if begins:
            comparison.proof.mark_seen(begins.seen)
        self.ready = False
        self.ended: Ended | None = None
        self.step = self.total_steps = 0
        self.measured_at: int | None = None
        self._began = time.monotonic()
        # Since the last metric.
        self._tokens, self._seconds = 0, 0.0
        self._handlers: dict[str, Callable[..., None]] = {
            "sample": self._on_sample,
            "prepared": self._on_prepared,
            "batch": self._on_batch,
            "step": self._on_step,
            "log": self._on_log,
            "saved": self._on_saved,
            "measuring": self._on_measuring,
            "held_out": self._on_held_out,
            "end": self._on_end,
        }

    def hear(self, told: dict[str, Any]) -> None:
        """Raises JobFailed for other tokens than the checked ones, and for losses that are no numbers."""
        handler = self._handlers.get(told.pop("event"))
        if handler is not None:
            handler(**told)

    def _on_sample(self, place: int, input_ids: list[int], labels: list[int], padded: int) -> None:
        if place == 0:
            self.emit(EventKind.PHASE, phase=Phase.CHECKING_MASKS)
        self.comparison.check_sample(place, input_ids, labels, padded)

    def _on_prepared(self, samples: int) -> None:
        self.comparison.check_number(samples)
        self.ready = True
        self.emit(EventKind.PHASE, phase=Phase.TRAINING)
        self._began = time.monotonic()

    def _on_batch(self, rows: list[list[list[int]]], padded: int) -> None:
        self.comparison.check_batch(rows, padded, self.step + 1)
        self._tokens += sum(len(ids) for ids, _labels in rows)

    def _on_step(self, step: int, total_steps: int, epoch: float | None, seconds: float) -> None:
        self.step, self.total_steps = step, total_steps
        self._seconds += seconds
        done = step - (self.begins.step if self.begins else 0)
        left = (time.monotonic() - self._began) / max(done, 1) * (total_steps - step)
        self.emit(
            EventKind.PROGRESS,
            step=step,
            total_steps=total_steps,
            epoch=None if epoch is None else round(epoch, 4),
            eta_seconds=round(left, 1),
        )

    def _on_log(self, step: int, epoch: float | None, loss: float | None, **figures: Any) -> None:
        if loss is None or not math.isfinite(loss):
            raise JobFailed(FailureCode.NOT_A_NUMBER, LOSS_IS_NO_NUMBER, step=step)
        self.windows.append(Window(loss, step - self._logged_at))
        self._logged_at = step
        # The host's; the GPU's own are those that the tool's process tells, for this one has nothing there.
        load = machine_load(torch.device("cpu"))
        load["device_memory_bytes"] = figures.get("device_memory_bytes")
        load["device_memory_total_bytes"] = figures.get("device_memory_total_bytes")
        self.emit(
            EventKind.METRIC,
            step=step,
            epoch=None if epoch is None else round(epoch, 4),
            loss=loss,
            learning_rate=figures["learning_rate"],
            grad_norm=figures["grad_norm"],
            tokens_per_second=round(self._tokens / self._seconds, 1) if self._seconds else None,
            memory_bytes=figures["memory_bytes"],
            **load,
        )
        self._tokens, self._seconds = 0, 0.0

    def _on_saved(self, step: int, folder: str) -> None:
        if self.workplace is not None:
            seen = [int(place) for place in self.comparison.proof.seen.nonzero()[0]]
            record(self.workplace, step, Path(folder), seen, self.windows, self.versions)

    def _on_measuring(self) -> None:
        self.emit(EventKind.PHASE, phase=Phase.EVALUATING)

    def _on_held_out(self, step: int, loss: float | None) -> None:
        if loss is not None and math.isfinite(loss):
            self.measured_at = step
            self.emit(EventKind.EVAL, step=step, eval_loss=loss)
        self.emit(EventKind.PHASE, phase=Phase.TRAINING)

    def _on_end(self, **fields: Any) -> None:
        if self.begins:
            # The tool's own mean knows nothing of the steps before.
            fields["train_loss"] = mean_loss(self.windows)
        self.ended = Ended(**fields, measured_at=self.measured_at)
