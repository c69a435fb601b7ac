"""How long a run will be before it starts: steps and tokens; and how many of the steps are warm-up."""

import math
from dataclasses import dataclass

from app.recipes.config import TrainingConfig


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

    @property
    def samples_passed(self) -> int:
        """Samples that the steps take: the last one of a pass takes what is left of it."""
        passes, rest = divmod(self.steps, self.steps_per_epoch)
        return passes * self.samples + min(rest * self.batch, self.samples)

    @property
    def is_whole(self) -> bool:
        """Whether every sample passes equally often, so that nothing depends on the order."""
        return self.steps % self.steps_per_epoch == 0


@dataclass(frozen=True)
class Tokens:
    """Of the training split, over all epochs: how many pass the model, and how many of them are in the loss. `exact` where that
    is counted and not taken from means.
    """

    all: int
    trained: int
    exact: bool = False


def estimate_steps(samples: int, config: TrainingConfig) -> Estimate:
    """Steps for so many training samples."""
    batches = math.ceil(samples / config.per_device_train_batch_size)
    per_epoch = max(1, math.ceil(batches / config.batches_per_step))
    steps = config.max_steps if config.max_steps > 0 else math.ceil(per_epoch * config.num_train_epochs)
    batch = config.samples_per_step
    return Estimate(samples, batch, per_epoch, steps)


def warm_up_steps(config: TrainingConfig, steps: int) -> int:
    """Of so many optimiser steps those in which the learning rate still rises, the first of them at 0, as transformers counts them.

    A share that is less than one step is none: transformers rounds it up, which gives the only step of a run a learning rate of 0.
    """
    if config.lr_scheduler_type == "constant":
        return 0
    share = config.warmup_ratio * steps
    return config.warmup_steps or (math.ceil(share) if share >= 1 else 0)
