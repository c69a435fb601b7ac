"""A config in the words of transformers' Trainer."""

from pathlib import Path
from typing import Final

import torch
from transformers import TrainingArguments

from app.jobs.events import Emit
from app.recipes.config import TrainingConfig
from app.recipes.estimates import warm_up_steps
from app.sentences import N_
from worker.work.protocol import log
from worker.work.training.forward import LossPass
from worker.work.training.lanes import batches_together

ALL_WARM_UP: Final = N_(
    "All %(steps)d steps that the time budget leaves are warm-up, for which %(warm)d are set: the learning rate never gets to its value. "
    "Set warmup_steps to 0."
)


def training_arguments(
    config: TrainingConfig,
    output_dir: Path,
    device: torch.device,
    loss_pass: LossPass,
    *,
    evaluate: bool,
    resumed: bool,
) -> TrainingArguments:
    """Our fields in transformers' words, as its loop sees batches that go through `loss_pass`. Precision is the model's own: autocast
    stays off."""
    return TrainingArguments(
        output_dir=str(output_dir),
        per_device_train_batch_size=config.per_device_train_batch_size,
        per_device_eval_batch_size=config.per_device_eval_batch_size,
        gradient_accumulation_steps=config.gradient_accumulation_steps // batches_together(loss_pass, config),
        num_train_epochs=config.num_train_epochs,
        max_steps=config.max_steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.lr_scheduler_type,
        # A share is known in steps once it is known how many there are: `set_warm_up`.
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
        adam_beta1=config.adam_beta1,
        adam_beta2=config.adam_beta2,
        adam_epsilon=config.adam_epsilon,
        max_grad_norm=config.max_grad_norm,
        # The same AdamW in one kernel.
        optim="adamw_torch_fused" if config.optim == "adamw_torch" else config.optim,
        logging_strategy="steps",
        logging_steps=config.logging_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if evaluate else "no",
        eval_steps=config.eval_steps,
        eval_on_start=evaluate and not resumed,
        save_strategy="steps",
        save_steps=config.save_steps,
        save_total_limit=config.save_total_limit,
        seed=config.seed,
        data_seed=config.seed,
        use_cpu=device.type == "cpu",
        bf16=False,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        report_to="none",
    )


def set_warm_up(args: TrainingArguments, config: TrainingConfig, steps: int, emit: Emit) -> None:
    """The warm-up of a run of so many steps, in steps. Where only a time budget decided how many, what comes of it is told."""
    warm = warm_up_steps(config, steps)
    args.warmup_steps = warm
    if warm >= steps and config.max_train_minutes:
        log(emit, "warning", ALL_WARM_UP, steps=steps, warm=warm)
