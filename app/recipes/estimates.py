"""How long a run will be before it starts: steps, tokens, and what it writes to the disk. Memory is in `memory`."""

import math
from dataclasses import dataclass
from typing import Final

from app.base_models.facts import ModelFacts
from app.recipes.config import TrainingConfig
from app.recipes.memory import trained_parameters

# Of each trained number a checkpoint has the weight and AdamW's two moments, in fp32.
_CHECKPOINT_BYTES: Final = 12
_WEIGHT_BYTES: Final = 4
# Optimizers that keep less than two fp32 moments.
_SMALLER: Final = {"adamw_8bit": 6, "paged_adamw_8bit": 6, "sgd": 4, "adafactor": 5}


@dataclass(frozen=True)
class Estimate:
    """Optimiser steps of a run, as transformers' Trainer counts them."""

    samples: int
    batch: int
    steps_per_epoch: int
    steps: int

    @property
    def epochs(self) -> float:
        """Passes over the data that the steps are, which a step limit may cut short."""
        return self.steps / self.steps_per_epoch


@dataclass(frozen=True)
class Tokens:
    """Of the training split, over all epochs: how many pass the model, and how many of them are in the loss."""

    all: int
    trained: int


def estimate_steps(samples: int, config: TrainingConfig) -> Estimate:
    """Steps for so many training samples."""
    batches = math.ceil(samples / config.per_device_train_batch_size)
    per_epoch = max(1, math.ceil(batches / config.batches_per_step))
    steps = config.max_steps if config.max_steps > 0 else math.ceil(per_epoch * config.num_train_epochs)
    batch = config.samples_per_step
    return Estimate(samples, batch, per_epoch, steps)


def estimate_disk(estimate: Estimate, config: TrainingConfig, facts: ModelFacts) -> int | None:
    """Bytes on the disk at the most, while it runs: checkpoints, one more while it is written, best and kept weights.

    None where nothing is known of the model's layers.
    """
    trained = trained_parameters(facts, config)
    if trained is None:
        return None
    # One at the end besides those on the way.
    kept = min(config.save_total_limit, estimate.steps // config.save_steps + 1) + 1
    each = trained * _SMALLER.get(config.optim, _CHECKPOINT_BYTES)
    best = 1 if config.early_stopping_patience else 0
    return kept * each + (1 + best) * trained * _WEIGHT_BYTES
