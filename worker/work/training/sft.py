"""Supervised fine-tuning of a LoRA adapter or of a whole model, from checked arrays to what is saved.

The story reads from top to bottom in `run`. It never sees text: which tokens are trained was decided, shown
and checked before, and arrives as arrays.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed

from app.jobs.events import Emit, EventKind, Phase
from app.masking import MaskArrays, Mixture, Split
from app.recipes.config import TrainingConfig
from app.recipes.optimizers import fitting_optimizer
from app.runs.result import MixedResult, Pieces, RunResult, StopReason, TrainingPlan
from app.runs.work import TrainInput
from app.sentences import N_
from worker.work.protocol import Control, log
from worker.work.training.adapter import Reached, prepare
from worker.work.training.arguments import training_arguments
from worker.work.training.beginning import (
    find_start,
    is_kept,
    is_of_another_run,
    plan_before,
    plan_onward,
    take_adapter,
)
from worker.work.training.checkpoints import Checkpoint, publish
from worker.work.training.data import ArraySamples, LabelProof
from worker.work.training.devices import begin_here, give_back_freed_memory, training_device
from worker.work.training.forward import FinePass, ProvenPass
from worker.work.training.identity import identity
from worker.work.training.lanes import in_lanes
from worker.work.training.liger import require_kernels_for, require_liger_on
from worker.work.training.mixing import load_mixture, order_of, what_is_mixed, write_drawn
from worker.work.training.model import load_base_model
from worker.work.training.pieces import pieces_before, pieces_of
from worker.work.training.planning import (
    frozen_precision,
    keep_plan,
    kept_plan,
    make_plan,
    tokens_per_second,
    within,
)
from worker.work.training.portable import write_tuned
from worker.work.training.process_group import ProcessGroup
from worker.work.training.refusals import check_samples, check_vocabulary, require_same_tokenizer
from worker.work.training.sampling import reserved_seconds, sampling_for
from worker.work.training.surroundings import surroundings
from worker.work.training.trainer import (
    SftTrainer,
    require_checkpoint_space,
    require_finite,
)
from worker.work.training.trial import Trial, TriedPass, choose_pass
from worker.work.training.weights import causal_model, computing_in

# The folder of what was trained, by whether it is an adapter.
ADAPTER, MODEL = "adapter", "model"


def run(job: TrainInput, output_dir: Path, emit: Emit, control: Control) -> RunResult:
    """Train as the job asks. Raises JobFailed with a sentence, Cancelled when told to stop without saving."""
    group = ProcessGroup.started(job, training_device(), output_dir)
    try:
        result = train(job, output_dir, emit, control, group)
    except RuntimeError as error:
        raise group.why(error) from error
    finally:
        group.end()
    assert result is not None
    return result


def train(
    job: TrainInput, output_dir: Path, emit: Emit, control: Control, group: ProcessGroup
) -> RunResult | None:
    """What every process of the group does; the first one tells what came of it."""
    device = begin_here(emit)
    kept = kept_plan(job.resume_from)
    before = plan_before(job)
    dtype = frozen_precision(job.config, device, kept or before, group)
    config = fitted_to_device(job.config, device, emit)

    emit(EventKind.PHASE, phase=Phase.PREPARING_DATA)
    arrays = (mixture := load_mixture(job, emit)).arrays
    require_same_tokenizer(Path(job.base_model_path), job.tokenizer_hash)
    train_samples, eval_samples = ArraySamples(arrays, Split.TRAIN), ArraySamples(arrays, Split.VALIDATION)
    check_samples(train_samples, eval_samples, config)
    resume = find_start(job, emit)
    control.raise_if_stopped()

    emit(EventKind.PHASE, phase=Phase.LOADING_MODEL)
    set_seed(config.seed)
    base_model = load_base_model(Path(job.base_model_path), config, device, dtype)
    vocabulary = check_vocabulary(arrays, base_model)
    model, reached = prepare(base_model, config, emit, end_of_turn_id=job.end_of_turn_id)
    take_adapter(model, job, emit)
    control.raise_if_stopped()
    describe(model, train_samples, device, dtype, emit)

    proof = LabelProof(arrays)
    trial = Trial.of(train_samples, vocabulary, device)
    chosen = tried_pass(model, trial, config, dtype, device, emit, pieces_before(job, kept, before), group)
    proven = ProvenPass(FinePass(chosen, model, dtype, device), proof)
    loss_pass = in_lanes(proven, model, config, device, train_samples.lengths(), control.raise_if_cancelled)

    emit(EventKind.PHASE, phase=Phase.TRAINING)
    measure = partial(tokens_per_second, loss_pass, model, train_samples, config, group)
    plan = kept or plan_onward(before, resume, config, len(train_samples))
    plan = plan or plan_for(arrays, config, dtype, measure, emit)
    plan = keep_plan(plan.model_copy(update={"pieces": pieces_of(chosen)}), output_dir, group)
    proof.forget()
    planned, measured, resumed = within(config, plan), len(eval_samples) > 0, resume is not None
    trainer = SftTrainer(
        model=model,
        args=training_arguments(planned, output_dir, device, loss_pass, evaluate=measured, resumed=resumed),
        config=config,
        loss_pass=loss_pass,
        proof=proof,
        train_samples=train_samples,
        eval_samples=eval_samples,
        emit=emit,
        control=control,
        identity=identity(config, job, arrays.hash),
        group=group,
        mixture=mixture,
        order=order_of(mixture, planned),
        earlier=Path(job.resume_from) if job.resume_from else None,
        goes_on=is_of_another_run(resume, job),
    )
    train_loss = go_through(trainer, job, resume, dtype, control)
    return finish(trainer, reached, plan, train_loss, job, mixture, output_dir) if group.leads else None


def go_through(
    trainer: SftTrainer, job: TrainInput, resume: Checkpoint | None, dtype: torch.dtype, control: Control
) -> float:
    """The steps that are left, which are none where only a checkpoint is to be kept, and what is measured after the
    last; the mean training loss of the run.

    Raises Cancelled and Paused.
    """
    train_loss: float
    if resume is not None and (job.save_at_once or is_kept(job)):
        trainer.stop_on_request.saving = True
        train_loss = trainer.take_over(resume)
    else:
        if trainer.group.leads:
            ask_while_training(trainer, Path(job.base_model_path), dtype)
        train_loss = trainer.go_on(resume)
    control.raise_if_cancelled()
    raise_if_paused(trainer, control)
    finish_evaluation(trainer)
    trainer.proof.merge(trainer.group)
    trainer.group.tell_peaks(trainer.args.device)
    return train_loss


def raise_if_paused(trainer: SftTrainer, control: Control) -> None:
    """Raises Paused, unless early stopping has ended the run at that step, or somebody would rather keep what there is."""
    if trainer.stop_on_request.pausing and not (trainer.early_stopping and trainer.early_stopping.stopped):
        control.raise_if_stopped()
        trainer.stop_on_request.saving = True


def plan_for(
    arrays: MaskArrays,
    config: TrainingConfig,
    dtype: torch.dtype,
    measure: Callable[[float], float],
    emit: Emit,
) -> TrainingPlan:
    """How many steps the run takes, measured where it has a time budget."""
    return make_plan(
        config,
        ArraySamples(arrays, Split.TRAIN),
        ArraySamples(arrays, Split.VALIDATION),
        dtype,
        measure,
        emit,
        reserved=reserved_seconds(config),
        also_measured=ArraySamples(arrays, Split.MIXED_VALIDATION).tokens(),
    )


def tried_pass(
    model: Any,
    trial: Trial,
    config: TrainingConfig,
    dtype: torch.dtype,
    device: torch.device,
    emit: Emit,
    kept: Pieces | None,
    group: ProcessGroup,
) -> TriedPass:
    """The pass that suits the model, of the pieces that were `kept` from before where they can be had.

    Raises JobFailed where kernels are asked for that there are none of for this kind of model.
    """
    if config.use_liger_kernel:
        require_kernels_for(causal_model(model))
    liger = config.use_liger_kernel
    with computing_in(dtype, model, device):
        chosen = choose_pass(model, trial, dtype, emit, liger=liger, kept=kept, led=group.led)
    give_back_freed_memory()
    return chosen


def ask_while_training(trainer: SftTrainer, base_model: Path, dtype: torch.dtype) -> None:
    """Sample answers at the measurements, where the config wants any."""
    sampling = sampling_for(
        trainer.adapted,
        base_model,
        trainer.config,
        trainer.train_samples,
        trainer.eval_samples,
        dtype,
        trainer.args.device,
        trainer.emit,
        trainer.job,
    )
    if sampling is not None:
        trainer.add_callback(sampling)


def finish(
    trainer: SftTrainer,
    reached: Reached,
    plan: TrainingPlan,
    train_loss: float,
    job: TrainInput,
    mixture: Mixture,
    output_dir: Path,
) -> RunResult:
    """Save what is kept."""
    trainer.emit(EventKind.PHASE, phase=Phase.SAVING)
    # A checkpoint that somebody chose is kept as it is, whichever was the best.
    adapter_step = trainer.state.global_step if is_kept(job) else keep_best(trainer)
    require_finite(trainer.adapted, adapter_step)
    require_checkpoint_space(output_dir, trainer.adapted)
    result = what_came_of_it(trainer, reached, train_loss, adapter_step, job, mixture.arrays.hash)
    mixed = with_losses(mixture, trainer.config, trainer.mixed_losses, adapter_step)
    result = result.model_copy(update={"plan": plan, "mix": mixed})
    save(trainer.adapted, output_dir, job, trainer.config, result, mixture)
    return result


def with_losses(
    mixture: Mixture, config: TrainingConfig, losses: Mapping[int, float], kept_step: int
) -> MixedResult | None:
    """The mixture in numbers, with the losses that were measured on what the second dataset held out, by step."""
    if not mixture.is_mixed:
        return None
    found = {"loss_before": losses.get(0), "loss_after": losses.get(kept_step)}
    return what_is_mixed(mixture, config).model_copy(update=found)


def save(
    model: Any,
    output_dir: Path,
    job: TrainInput,
    config: TrainingConfig,
    result: RunResult,
    mixture: Mixture,
) -> None:
    """What was trained and all that belongs to it, whole or not at all."""

    def write(folder: Path) -> None:
        write_tuned(
            model,
            folder,
            base_folder=Path(job.base_model_path),
            provenance=job.provenance,
            config=config,
            result=result,
        )
        write_drawn(folder, mixture)

    publish(output_dir, result.adapter, write)


def what_came_of_it(
    trainer: SftTrainer,
    reached: Reached,
    train_loss: float,
    adapter_step: int,
    job: TrainInput,
    arrays_hash: str,
) -> RunResult:
    """Where the run ended and why, its losses, and the proof of what reached the loss."""
    reason = "checkpoint" if is_kept(job) else stop_reason(trainer)
    return RunResult(
        adapter=ADAPTER if trainer.config.use_peft else MODEL,
        adapter_step=adapter_step,
        steps=trainer.state.global_step,
        total_steps=trainer.state.max_steps,
        train_loss=train_loss,
        eval_loss=final_eval_loss(trainer, adapter_step),
        stopped_early=reason != "finished",
        stop_reason=reason,
        labels_hash=trainer.proof.labels_hash(arrays_hash),
        labels_seen=int(trainer.proof.seen.sum()),
        labels_total=len(trainer.proof.seen),
        peak_memory_bytes=trainer.group.peak_memory(trainer.args.device),
        adapted=reached.adapted,
        left_out=reached.left_out,
        environment=surroundings(trainer.args.device),
        tokens=trainer.passed.tokens,
        trained_tokens=trainer.passed.trained,
    )


def fitted_to_device(config: TrainingConfig, device: torch.device, emit: Emit) -> TrainingConfig:
    """The config as this device trains it. Raises JobFailed for kernels that cannot run here."""
    if config.use_liger_kernel:
        require_liger_on(device)
    return with_available_optimizer(config, device, emit)


def with_available_optimizer(config: TrainingConfig, device: torch.device, emit: Emit) -> TrainingConfig:
    """8-bit and paged optimizers need a GPU; elsewhere plain AdamW takes their place, and the log says so."""
    optim, note = fitting_optimizer(config.optim, on_cpu=device.type != "cuda")
    if note is None:
        return config
    log(emit, "warning", note)
    return config.model_copy(update={"optim": optim})


def describe(model: Any, samples: ArraySamples, device: torch.device, dtype: torch.dtype, emit: Emit) -> None:
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    log(
        emit,
        "info",
        N_(
            "%(conversations)d conversations with %(tokens)d trained tokens; %(trainable)d trainable "
            "parameters; %(dtype)s on %(device)s."
        ),
        conversations=len(samples),
        tokens=samples.trained_tokens(),
        trainable=trainable,
        dtype=str(dtype).removeprefix("torch."),
        device=str(device),
    )


def finish_evaluation(trainer: SftTrainer) -> None:
    """Measure the final weights, unless the last step just did."""
    measured = trainer.last_evaluation[0] if trainer.last_evaluation else None
    if len(trainer.eval_samples) > 0 and measured != trainer.state.global_step:
        trainer.evaluate()


def keep_best(trainer: SftTrainer) -> int:
    """With early stopping, put the best weights back; returns the step that the kept ones are from."""
    early = trainer.early_stopping
    if early is None or not early.has_best or early.best_step == trainer.state.global_step:
        return int(trainer.state.global_step)
    early.put_best_back()
    kept = N_("What was trained up to step %(step)d is kept: its held-out loss was the lowest.")
    log(trainer.emit, "info", kept, step=early.best_step)
    return early.best_step


def stop_reason(trainer: SftTrainer) -> StopReason:
    if trainer.stop_on_request.saving:
        return "requested"
    if trainer.early_stopping is not None and trainer.early_stopping.stopped:
        return "no_improvement"
    return "finished"


def final_eval_loss(trainer: SftTrainer, adapter_step: int) -> float | None:
    """The validation loss of the kept adapter; None without a validation split or if not measured."""
    early = trainer.early_stopping
    if early is not None and early.has_best and early.best_step == adapter_step:
        return early.kept_loss
    if trainer.last_evaluation is not None and trainer.last_evaluation[0] == adapter_step:
        return trainer.last_evaluation[1]
    return None
