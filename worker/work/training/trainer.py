"""transformers' Trainer, fed with packed batches whose labels masking made.

Trainer and not TRL's SFTTrainer: what SFTTrainer adds is the preparation of text into ids and labels, which
masking has already done and which must not happen twice; its collators and per-step metrics cost time and
would come between the checked labels and the loss. Schedule, accumulation, clipping and loop are Trainer's.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import torch
from transformers import PrinterCallback, Trainer, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from app.jobs.events import Emit, EventKind, Phase
from app.masking import IGNORE_INDEX, Mixture, Split
from app.recipes.config import TrainingConfig
from app.recipes.continuing import CHANGEABLE, FREE
from app.sentences import N_, FailureCode
from worker.work.disk_space import require_space
from worker.work.protocol import Control, JobFailed, base_is_no_number
from worker.work.training.arguments import set_warm_up
from worker.work.training.callbacks import EarlyStopping, FirstGradients, GoesOn, Progress, StopOnRequest
from worker.work.training.checkpoints import (
    Checkpoint,
    load_optimizer_and_scheduler,
    load_random_state,
    publish,
    reschedule,
    save_training_state,
    thin_out,
)
from worker.work.training.data import (
    ArraySamples,
    Batch,
    EpochLoader,
    LabelProof,
    Order,
    next_token_targets,
)
from worker.work.training.forward import LossPass
from worker.work.training.identity import Identity, is_same
from worker.work.training.lanes import batches_together
from worker.work.training.mixing import begins_to_count
from worker.work.training.process_group import ProcessGroup
from worker.work.training.weights import load_state, weights_of


class LossSoFar(TypedDict):
    """Of the steps `since` the `last_logged` one, and of all `before` it: sums of a step's loss."""

    last_logged: int
    since: float
    before: float


class Passed(NamedTuple):
    """Tokens that went through all steps of a run, and those of them in the loss; None where a checkpoint of before told none."""

    tokens: int | None = 0
    trained: int | None = 0

    def and_also(self, tokens: int, trained: int) -> "Passed":
        """With those of one more step."""
        if self.tokens is None or self.trained is None:
            return self
        return Passed(self.tokens + tokens, self.trained + trained)


class SftTrainer(Trainer):
    """One device in each process of `group`. Raises JobFailed and Cancelled straight through the loop."""

    def __init__(
        self,
        model: Any,
        args: TrainingArguments,
        config: TrainingConfig,
        loss_pass: LossPass,
        proof: LabelProof,
        train_samples: ArraySamples,
        eval_samples: ArraySamples,
        emit: Emit,
        control: Control,
        identity: Identity,
        group: ProcessGroup,
        mixture: Mixture,
        order: Order | None = None,
        earlier: Path | None = None,
        goes_on: bool = False,
    ) -> None:
        # Where there are more GPUs, transformers would share each batch among them by itself.
        args._n_gpu = min(1, args.n_gpu)
        super().__init__(model=model, args=args, train_dataset=train_samples, eval_dataset=eval_samples)
        self.pop_callback(PrinterCallback)
        self.config, self.loss_pass, self.proof = config, loss_pass, proof
        self.together = batches_together(loss_pass, config)
        self.emit, self.job, self.group = emit, control, group
        self.adapted, self.train_samples, self.eval_samples = model, train_samples, eval_samples
        # What was held out of the second dataset is measured beside, and decides nothing.
        self.mixed_samples = ArraySamples(mixture.arrays, Split.MIXED_VALIDATION)
        self.order = order
        self.mixed_losses: dict[int, float] = {}
        self.passed = Passed()
        self.weights = weights_of(model)
        self.checkpoints = Path(args.output_dir or ".") / "checkpoints"
        # What a checkpoint must agree on before a run may go on from it.
        self.identity = identity
        # The folder of the job's attempts; and whether the checkpoint to begin with is another run's.
        self.earlier, self.goes_on = earlier, goes_on
        self.progress = Progress(emit, args.device)
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.stop_on_request = StopOnRequest(control, group)
        self.early_stopping = self._early_stopping(mixture)
        self.last_evaluation: tuple[int, float] | None = None
        # Sums of the loss at the checkpoint that this goes on from.
        self.loss_so_far: LossSoFar | None = None
        for callback in (
            GoesOn(self._put_loss_back),
            self.progress,
            FirstGradients(emit, self.progress),
            self.early_stopping,
            self.stop_on_request,
        ):
            if callback is not None:
                self.add_callback(callback)

    def _early_stopping(self, mixture: Mixture) -> EarlyStopping | None:
        patience, folder = self.config.early_stopping_patience, self.checkpoints.parent
        counts_from = begins_to_count(mixture, self.config)
        if not patience:
            return None
        return EarlyStopping(patience, self.emit, self.weights, folder, counts_from=counts_from)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """With the steps of warm-up that are told before a start and written for other tools."""
        set_warm_up(self.args, self.config, num_training_steps, self.emit)
        return super().create_scheduler(num_training_steps, optimizer)

    # Data and loss

    def get_train_dataloader(self) -> EpochLoader:
        batch_size = self.config.per_device_train_batch_size * self.together
        return self._loader(self.train_samples, batch_size, self.config.seed, self.order)

    def _loader(
        self, samples: ArraySamples, batch_size: int, seed: int | None, order: Order | None = None
    ) -> EpochLoader:
        rank, processes = self.group.rank, self.group.size
        return EpochLoader(samples, batch_size, seed, order, rank=rank, processes=processes)

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> torch.Tensor:
        """Trained tokens of all batches of a step: the loss is their mean, however they are batched."""
        self.group.begin_step(self.config.seed, self.state.global_step)
        self._loss_of_step = torch.zeros((), device=device)
        trained, tokens = self.group.total(
            sum(trained_tokens(batch) for batch in batch_samples),
            sum(batch["input_ids"].numel() for batch in batch_samples),
        )
        self.progress.tokens += tokens
        self.passed = self.passed.and_also(tokens, trained)
        return torch.tensor(trained, device=device)

    def training_step(self, model: Any, inputs: Batch, num_items_in_batch: Any = None) -> torch.Tensor:
        self.job.raise_if_cancelled()
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        self.progress.saw_loss(loss)
        own, self._loss_of_step = self._loss_of_step, self._loss_of_step + loss
        if not self.accelerator.sync_gradients:
            return loss
        # What was returned for this step's earlier batches is told already.
        return self.group.add_gradients(self.trained, self._loss_of_step) - own

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)  # type: ignore[no-untyped-call]
        self.progress.saw_gradient(norm)
        return norm

    def compute_loss(
        self, model: Any, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        # Already a mean over the whole step: the Trainer must not divide by the accumulation steps again.
        self.loss_is_scaled_for_ga = True
        mean: torch.Tensor = self._sum_of(inputs) / num_items_in_batch.clamp(min=1)
        return mean

    def _sum_of(self, batch: Batch) -> torch.Tensor:
        """The loss of all its trained tokens. Another process may have got the last batch of an epoch, and this one none."""
        if batch["sample_indices"]:
            return self.loss_pass(batch)
        return torch.zeros((), device=self.args.device, requires_grad=torch.is_grad_enabled())

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Mean cross-entropy over all trained tokens of the validation split."""
        self.emit(EventKind.PHASE, phase=Phase.EVALUATING)
        self.adapted.eval()
        metrics = {"eval_loss": self._mean_loss(self.eval_samples)}
        if not math.isfinite(metrics["eval_loss"]):
            if not self.state.global_step:
                raise base_is_no_number()
            raise JobFailed(
                FailureCode.NOT_A_NUMBER,
                N_(
                    "The held-out loss is no number after step %(step)d: nothing is kept of this run. Lower the "
                    "learning rate."
                ),
                step=self.state.global_step,
            )
        self.last_evaluation = (self.state.global_step, metrics["eval_loss"])
        self._tell_losses(metrics["eval_loss"])
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self.emit(EventKind.PHASE, phase=Phase.TRAINING)
        return metrics

    def _mean_loss(self, samples: ArraySamples) -> float:
        """A trained token, over all processes."""
        total, count = 0.0, 0
        with torch.no_grad():
            for batch in self._loader(samples, self.config.per_device_eval_batch_size * self.together, None):
                self.job.raise_if_cancelled()
                total += float(self._sum_of(self._prepare_inputs(batch)))
                count += trained_tokens(batch)
        total, [count] = self.group.total_of(total), self.group.total(count)
        return total / max(count, 1)

    def _tell_losses(self, eval_loss: float) -> None:
        step = self.state.global_step
        if not len(self.mixed_samples):
            self.emit(EventKind.EVAL, step=step, eval_loss=eval_loss)
            return
        mixed = self._mean_loss(self.mixed_samples)
        if math.isfinite(mixed):
            self.mixed_losses[step] = mixed
        self.emit(EventKind.EVAL, step=step, eval_loss=eval_loss, mixed_loss=self.mixed_losses.get(step))

    # Checkpoints

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        seen = self.proof.seen.astype("uint8")
        self.group.largest(seen)
        if not self.group.leads:
            return
        self._seen = [int(index) for index in seen.nonzero()[0]]
        self.emit(EventKind.PHASE, phase=Phase.SAVING)
        require_finite(self.adapted, self.state.global_step)
        require_checkpoint_space(self.checkpoints, self.adapted)
        path = publish(self.checkpoints, f"checkpoint-{self.state.global_step}", self._write_checkpoint)
        thin_out(path, self.earlier, self.config.save_total_limit)
        self.emit(EventKind.CHECKPOINT, step=self.state.global_step, path=str(path))
        self.emit(EventKind.PHASE, phase=Phase.TRAINING)

    def _write_checkpoint(self, folder: Path) -> None:
        self.weights.write(folder)
        self.state.save_to_json(str(folder / TRAINER_STATE_NAME))
        fields: dict[str, Any] = {
            "loss_so_far": LossSoFar(
                last_logged=self._globalstep_last_logged,
                since=float(self._tr_loss),
                before=self._total_loss_scalar,
            ),
            "identity": self.identity,
            "seen_samples": self._seen,
            "last_evaluation": self.last_evaluation,
            "mixed_losses": list(self.mixed_losses.items()),
            "passed": self.passed,
        }
        if self.early_stopping is not None:
            fields["early_stopping"] = self.early_stopping.fields()
            self.early_stopping.keep_best_in(folder)
        save_training_state(folder, self.optimizer, self.lr_scheduler, self.args.device, fields)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        checkpoint = self._checkpoint(resume_from_checkpoint)
        fields = checkpoint.fields()
        may_differ = CHANGEABLE if self.goes_on else FREE
        if not is_same(fields["identity"], self.identity, may_differ):
            raise JobFailed(
                FailureCode.CHECKPOINT_UNUSABLE,
                N_(
                    "The checkpoint at step %(step)d belongs to other data, another base model or another "
                    "configuration: start a new run instead of resuming."
                ),
                step=checkpoint.step,
            )
        self.weights.load(load_state(checkpoint.path / self.weights.file))
        self.loss_so_far = fields.get("loss_so_far")
        self.proof.mark_seen(fields["seen_samples"])
        if fields["last_evaluation"] is not None:
            step, loss = fields["last_evaluation"]
            self.last_evaluation = (step, loss)
        self.mixed_losses = dict(fields.get("mixed_losses", ()))
        self.passed = Passed(*fields.get("passed", (None, None)))
        # A run that goes on from another one may have patience where that had none.
        if self.early_stopping is not None and "early_stopping" in fields:
            self.early_stopping.restore(fields["early_stopping"], checkpoint.path, is_own=not self.goes_on)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            load_optimizer_and_scheduler(self._checkpoint(checkpoint), self.optimizer, self.lr_scheduler)
            if self.goes_on:
                reschedule(self.optimizer, self.lr_scheduler, self.config.learning_rate)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        # It is the first process's; the others draw each step's anew.
        if checkpoint is not None and self.group.leads:
            load_random_state(self._checkpoint(checkpoint), self.args.device)

    def _put_loss_back(self) -> None:
        """A mean over steps on both sides of the checkpoint is the one that an uninterrupted run logs, the run's too."""
        if self.loss_so_far is None:
            return
        self._tr_loss.fill_(self.loss_so_far["since"])
        self._total_loss_scalar = self.loss_so_far["before"]
        self._globalstep_last_logged = self.loss_so_far["last_logged"]
        self._initial_global_step = 0

    def go_on(self, checkpoint: Checkpoint | None) -> float:
        """Train the steps that are left from there, or from the start; the mean training loss of the run.

        A worker may have been lost after its last checkpoint: transformers would train one step more whatever the count.
        """
        if checkpoint is None or not self._is_over(checkpoint):
            path = str(checkpoint.path) if checkpoint else None
            return float(self.train(resume_from_checkpoint=path).training_loss)
        loss = self.take_over(checkpoint)
        self.control = self.callback_handler.on_train_end(self.args, self.state, self.control)
        return loss

    def _is_over(self, checkpoint: Checkpoint) -> bool:
        """Whether it was written after the last step, or where this very run had been stopped early."""
        # Without a number of steps it ends with an epoch, after which transformers finds nothing left to train.
        if 0 < self.args.max_steps <= checkpoint.step:
            return True
        if self.early_stopping is None or self.goes_on:
            return False
        fields = checkpoint.fields().get("early_stopping")
        return fields is not None and self.early_stopping.had_stopped(fields)

    def take_over(self, checkpoint: Checkpoint) -> float:
        """Be where the checkpoint stands without another step; the mean training loss until there."""
        self._load_from_checkpoint(str(checkpoint.path))
        self.state = TrainerState.load_from_json(str(checkpoint.path / TRAINER_STATE_NAME))
        sums = self.loss_so_far
        return math.nan if sums is None else (sums["before"] + sums["since"]) / max(1, checkpoint.step)

    def _load_callback_state(self) -> None:
        """Not the callbacks' state, which comes back with the rest of the checkpoint's fields; but how often something is told,
        measured and saved is this run's own, not that of the run whose checkpoint it is."""
        self.state.compute_steps(self.args, self.state.max_steps)  # type: ignore[no-untyped-call]

    @staticmethod
    def _checkpoint(path: str) -> Checkpoint:
        return Checkpoint(Path(path), int(path.rpartition("-")[2]))


def trained_tokens(batch: Batch) -> int:
    return int((next_token_targets(batch["labels"], batch["borders"]) != IGNORE_INDEX).sum())


def require_finite(model: Any, step: int) -> None:
    """Refuse to write weights that hold what is no number: a step can break them after a loss that was one."""
    broken = [
        name for name, p in model.named_parameters() if p.requires_grad and not bool(p.isfinite().all())
    ]
    if broken:
        raise JobFailed(
            FailureCode.NOT_A_NUMBER,
            N_(
                "The weights hold what is no number after step %(step)d (%(tensor)s): nothing is kept of this step. "
                "Lower the learning rate, raise the warm-up, or keep max_grad_norm at 1.0."
            ),
            step=step,
            tensor=broken[0],
        )


def require_checkpoint_space(folder: Path, model: Any) -> None:
    """Refuse to write what the disk cannot hold: the trained weights, two moments of the optimizer, the best weights."""
    trainable = sum(p.numel() * p.element_size() for p in weights_of(model).state().values())
    require_space(4 * trainable + 16 * 2**20, folder, for_checkpoint=True)
