"""How long a run will be, in steps, before it starts; and what in its config does not fit that length."""

import math
from dataclasses import dataclass

from app.recipes.config import TrainingConfig
from app.sentences import N_, Sentence

# A curve with fewer points than this says nothing.
_MIN_POINTS = 10


@dataclass(frozen=True)
class Estimate:
    """Optimiser steps of a run, as transformers' Trainer counts them."""

    samples: int
    batch: int
    steps_per_epoch: int
    steps: int


@dataclass(frozen=True)
class Advice:
    """A hint about one field, and the value that would fit."""

    field: str
    value: str
    sentence: Sentence


def estimate_steps(samples: int, config: TrainingConfig) -> Estimate:
    """Steps for so many training samples on one device."""
    batches = math.ceil(samples / config.per_device_train_batch_size)
    per_epoch = max(1, math.ceil(batches / config.gradient_accumulation_steps))
    steps = config.max_steps if config.max_steps > 0 else math.ceil(per_epoch * config.num_train_epochs)
    batch = config.per_device_train_batch_size * config.gradient_accumulation_steps
    return Estimate(samples, batch, per_epoch, steps)


def advise(estimate: Estimate, config: TrainingConfig, *, held_out: int) -> list[Advice]:
    """What in the config does not fit a run of this length."""
    found = []
    points = max(1, estimate.steps // _MIN_POINTS)
    if config.logging_steps > points:
        message = N_("With %(steps)d steps, a point every %(every)d steps makes a curve of few points.")
        sentence = Sentence.of(message, steps=estimate.steps, every=config.logging_steps)
        found.append(Advice("logging_steps", str(points), sentence))
    quarter = max(1, estimate.steps // 4)
    if held_out and config.eval_steps > quarter:
        message = N_("With %(steps)d steps, the held-out loss is measured less than four times.")
        found.append(Advice("eval_steps", str(quarter), Sentence.of(message, steps=estimate.steps)))
    if estimate.samples < estimate.batch:
        message = N_("A step takes %(batch)d samples and there are only %(samples)d: each epoch is one step.")
        sentence = Sentence.of(message, batch=estimate.batch, samples=estimate.samples)
        smaller = max(1, estimate.samples // 4 // config.per_device_train_batch_size)
        found.append(Advice("gradient_accumulation_steps", str(smaller), sentence))
    return found
