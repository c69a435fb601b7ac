"""What happens around the steps: events for the page, wishes to stop, early stopping.

The trainer calls these; none of them touches the mathematics of a step.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from transformers import TrainerCallback

from app.jobs.events import Emit, EventKind
from app.sentences import N_, FailureCode
from worker.work.protocol import Control, JobFailed, base_is_no_number, log
from worker.work.training.adapter import counted, listed
from worker.work.training.checkpoints import BEST_WEIGHTS, link_or_copy
from worker.work.training.devices import machine_load, memory_bytes
from worker.work.training.process_group import ProcessGroup
from worker.work.training.weights import TrainedWeights, load_state, save_state

LOSS_IS_NO_NUMBER: Final = N_(
    "The loss stopped being a number at step %(step)d. Lower the learning rate, raise the warm-up, or keep max_grad_norm "
    "at 1.0."
)


class Progress(TrainerCallback):
    """Sends progress after each step and a metric at each logging step."""

    def __init__(self, emit: Emit, device: torch.device) -> None:
        self.emit, self.device = emit, device
        self.started = self.step_started = 0.0
        self.first_step = 0
        # Since the last metric: tokens (the trainer counts them) and the seconds of the steps alone.
        self.tokens = 0
        self.seconds = 0.0
        # Whether every loss, and every gradient, was a number so far; on the device: nothing waits for it between two steps.
        self.finite = torch.ones((), dtype=torch.bool, device=device)
        self.finite_gradients = torch.ones((), dtype=torch.bool, device=device)

    def saw_loss(self, loss: torch.Tensor) -> None:
        """Take note of a batch's loss."""
        self.finite = self.finite & torch.isfinite(loss.detach())

    def saw_gradient(self, norm: torch.Tensor | float) -> None:
        """Take note of the norm of a step's gradient before it was clipped. Clipping by one that is no number leaves
        nothing, or what is none either."""
        whole = torch.isfinite(torch.as_tensor(norm, device=self.device))
        self.finite_gradients = self.finite_gradients & whole

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.started, self.first_step = time.monotonic(), state.global_step
        machine_load(self.device)  # utilisation counts from here

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.step_started = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.seconds += time.monotonic() - self.step_started
        # The device was waited for: looking costs nothing more.
        if not bool(self.finite & self.finite_gradients):
            # Told and ended at this very step, whichever steps are logged.
            control.should_log, control.should_evaluate, control.should_save = True, False, False
        done = state.global_step - self.first_step
        per_step = (time.monotonic() - self.started) / max(done, 1)
        self.emit(
            EventKind.PROGRESS,
            step=state.global_step,
            total_steps=state.max_steps,
            epoch=round(state.epoch, 4),
            eta_seconds=round(per_step * (state.max_steps - state.global_step), 1),
        )

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        logs = kwargs["logs"]
        if "loss" not in logs:
            return
        self.emit(
            EventKind.METRIC,
            step=state.global_step,
            epoch=round(state.epoch, 4),
            loss=logs["loss"],
            learning_rate=logs.get("learning_rate"),
            grad_norm=logs.get("grad_norm"),
            tokens_per_second=round(self.tokens / self.seconds, 1) if self.seconds else None,
            memory_bytes=memory_bytes(self.device),
            **machine_load(self.device),
        )
        self.tokens, self.seconds = 0, 0.0
        self.saw_loss(torch.as_tensor(logs["loss"], device=self.device))
        if state.global_step <= 1 and not bool(self.finite & self.finite_gradients):
            raise base_is_no_number()
        if not bool(self.finite):
            raise JobFailed(
                FailureCode.NOT_A_NUMBER,
                LOSS_IS_NO_NUMBER,
                step=state.global_step,
            )
        if not bool(self.finite_gradients):
            raise JobFailed(
                FailureCode.NOT_A_NUMBER,
                N_(
                    "The gradient is no number at step %(step)d, so nothing could be learned from it. Lower the learning "
                    "rate or raise the warm-up."
                ),
                step=state.global_step,
            )


class FirstGradients(TrainerCallback):
    """Looks once whether the loss reaches what is trained: a layer that gets no gradient would never learn.

    Of an adapter only the second matrix of each pair can tell: it starts at zero, so the first one's gradient is zero
    too. Of a whole model some weights may rightly have none in one step: experts that no token was sent to. A gradient
    that is no number, which Progress tells of, says nothing here.
    """

    def __init__(self, emit: Emit, progress: Progress | None = None) -> None:
        self.emit, self.progress = emit, progress
        self.looked = False

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.looked:
            return
        self.looked = True
        if self.progress is not None and not bool(self.progress.finite_gradients):
            return
        trained = [(name, p.grad) for name, p in kwargs["model"].named_parameters() if p.requires_grad]
        layers = [(name, gradient) for name, gradient in trained if "lora_B" in name]
        if not layers:
            if not any(gradient is not None and bool(gradient.any()) for _, gradient in trained):
                raise JobFailed(
                    FailureCode.MODEL_UNUSABLE,
                    N_("No gradient reaches the weights of this base model: choose another one."),
                )
            return
        silent = [name for name, gradient in layers if gradient is None or not bool(gradient.any())]
        if len(silent) == len(layers):
            raise JobFailed(
                FailureCode.TARGET_MODULES_MISSING,
                N_("No gradient reaches the adapter: choose other target_modules."),
            )
        if silent:
            log(
                self.emit,
                "warning",
                N_(
                    "No gradient reaches %(silent)d of the adapter's %(count)d layers: they will not learn. They are: "
                    "%(names)s."
                ),
                silent=len(silent),
                count=len(layers),
                names=listed(counted(name.partition(".lora_B")[0] for name in silent)),
            )


class StopOnRequest(TrainerCallback):
    """Cancels between two batches; a wish to stop and save, or to pause, is met at the end of the step.

    A pause leaves a checkpoint of that very step, measured first where it was to be measured anyhow. After the last step
    there is nothing left to pause.
    """

    def __init__(self, control: Control, group: ProcessGroup | None = None) -> None:
        self.job, self.group = control, group or ProcessGroup()
        self.saving = self.pausing = False

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.job.raise_if_cancelled()

    def on_substep_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.job.raise_if_cancelled()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.job.raise_if_cancelled()
        # Of several processes one alone is told, and all must end at the same step.
        stop = self.group.led(self.job.stop_requested)
        if stop == "save":
            self.saving = True
            control.should_training_stop = True
            control.should_evaluate = False
            control.should_save = False
        elif stop == "pause" and state.global_step < state.max_steps:
            self.pausing = True
            control.should_training_stop = True
            control.should_save = True


class GoesOn(TrainerCallback):
    """Puts back, once transformers has set its sums of the loss to nothing, what they were at the checkpoint."""

    def __init__(self, put_back: Callable[[], None]) -> None:
        self.put_back = put_back

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.put_back()


class EarlyStopping(TrainerCallback):
    """Stops after `patience` evaluations in a row without a new best loss, and keeps the best adapter.

    The evaluation before the first step is a bar to pass, but no adapter to keep: nothing was trained yet. Evaluations in
    the first `counts_from` (0 to 1) of the steps, where other data are trained, cost no patience.
    """

    def __init__(
        self, patience: int, emit: Emit, weights: TrainedWeights, folder: Path, *, counts_from: float = 0.0
    ) -> None:
        self.patience, self.emit, self.weights, self.counts_from = patience, emit, weights, counts_from
        # On the disk: in memory the best of a large adapter, or of a whole model, would lie beside the newest.
        self.best_file = folder / BEST_WEIGHTS
        self.best_loss = math.inf
        self.best_step = 0
        self.without_best = 0
        self.stopped = False
        self.kept_loss = math.inf
        self.has_best = False

    @property
    def is_out_of_patience(self) -> bool:
        """Whether so many evaluations in a row were without a new best loss."""
        return self.without_best >= self.patience

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        loss = kwargs["metrics"]["eval_loss"]
        if state.global_step > 0 and loss < self.kept_loss:
            self.kept_loss, self.best_step = loss, state.global_step
            self.best_file.parent.mkdir(parents=True, exist_ok=True)
            save_state(self.weights.state(), self.best_file)
            self.has_best = True
        if loss < self.best_loss:
            self.best_loss, self.without_best = loss, 0
            return
        if state.global_step <= self.counts_from * state.max_steps and self.counts_from:
            return
        self.without_best += 1
        if self.is_out_of_patience and not self.stopped:
            self.stopped = True
            control.should_training_stop = True
            log(
                self.emit,
                "info",
                N_("Stopped early at step %(step)d: %(count)d evaluations in a row without a new best loss."),
                step=state.global_step,
                count=self.without_best,
            )

    def put_best_back(self) -> None:
        """Let the model have the best weights again."""
        self.weights.load(load_state(self.best_file))

    def fields(self) -> dict[str, Any]:
        """What a checkpoint has to remember, besides the best weights."""
        finite = {name: None if math.isinf(value) else value for name, value in self._losses().items()}
        return {**finite, "best_step": self.best_step, "without_best": self.without_best}

    def keep_best_in(self, checkpoint: Path) -> None:
        """Put the file of the best weights into a checkpoint."""
        if self.has_best:
            link_or_copy(self.best_file, checkpoint / BEST_WEIGHTS)

    def restore(self, fields: dict[str, Any], checkpoint: Path) -> None:
        """Go on from what `fields` and `keep_best_in` left in a checkpoint."""
        for name in self._losses():
            setattr(self, name, math.inf if fields[name] is None else fields[name])
        self.best_step, self.without_best = fields["best_step"], fields["without_best"]
        self.has_best = (checkpoint / BEST_WEIGHTS).is_file()
        if self.has_best:
            self.best_file.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(checkpoint / BEST_WEIGHTS, self.best_file)

    def _losses(self) -> dict[str, float]:
        return {"best_loss": self.best_loss, "kept_loss": self.kept_loss}
