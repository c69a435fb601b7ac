"""How many steps a run takes where it has a time budget: measured on its own batches before the first step.

The plan is written down before training begins and kept by later attempts, so that a resumed run has the same steps,
the same schedule and the same precision as one that nobody interrupted.
"""

import json
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from app.jobs.events import Emit
from app.recipes.config import TrainingConfig
from app.recipes.estimates import estimate_steps
from app.runs.result import TrainingPlan
from app.sentences import N_
from worker.work.protocol import log
from worker.work.training.data import ArraySamples, Batch, EpochLoader, on_device
from worker.work.training.devices import weights_dtype
from worker.work.training.forward import LossPass
from worker.work.training.lanes import batches_together
from worker.work.training.process_group import ProcessGroup

PLAN: Final = "plan.json"
# So many of the run's first batches are measured, in turns: what else the machine does for a while slows some turns, not all.
_MEASURED_BATCHES: Final = 3
_TURNS: Final = 8
_SHARE_TO_MEASURE: Final = 0.1
_MOST_SECONDS_TO_MEASURE: Final = 15.0
# Kept free for what is not measured: checkpoints, saving, and a machine that is busier later than now.
_SHARE_TO_PLAN: Final = 0.9
# Forward alone, beside forward and back.
_COST_OF_MEASURING_LOSS: Final = 1 / 3


def kept_plan(job_folder: str | None) -> TrainingPlan | None:
    """What an earlier attempt of the job planned. `job_folder` holds the folders of its attempts."""
    for path in sorted(Path(job_folder).glob(f"**/{PLAN}")) if job_folder else ():
        return TrainingPlan.stored(json.loads(path.read_text("utf-8")))
    return None


def keep_plan(plan: TrainingPlan, output_dir: Path, group: ProcessGroup) -> TrainingPlan:
    """Write the first process's plan whole or not at all; returns it to every process."""
    plan = TrainingPlan.stored(group.led(plan.to_json()))
    output_dir.mkdir(parents=True, exist_ok=True)
    fresh = output_dir / f".{PLAN}"
    fresh.write_text(json.dumps(plan.to_json(), indent=1), "utf-8")
    fresh.replace(output_dir / PLAN)
    return plan


def frozen_precision(
    config: TrainingConfig, device: torch.device, kept: TrainingPlan | None, group: ProcessGroup
) -> torch.dtype:
    """The precision of the base model's weights: that of an earlier attempt, as asked for, or what the device is good at.

    The same in every process, whatever each of them measured.
    """
    name = (
        kept.precision
        if kept
        else _name(weights_dtype(device, None if config.bf16 == "auto" else config.bf16))
    )
    found: torch.dtype = getattr(torch, group.led(name))
    return found


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def tell(plan: TrainingPlan, emit: Emit) -> None:
    """Say what was measured and what follows."""
    log(
        emit,
        "info",
        N_(
            "%(speed)d tokens a second were measured: %(steps)d of %(wanted)d steps fit into %(minutes)s minutes. Steps "
            "and schedule are planned so."
        ),
        speed=round(plan.tokens_per_second or 0),
        steps=plan.steps,
        wanted=plan.wanted_steps,
        minutes=f"{plan.minutes:g}",
    )


def make_plan(
    config: TrainingConfig,
    train_samples: ArraySamples,
    eval_samples: ArraySamples,
    dtype: torch.dtype,
    measure: Callable[[float], float],
    emit: Emit,
    *,
    reserved: float = 0.0,
    also_measured: int = 0,
) -> TrainingPlan:
    """The steps that fit beside what takes `reserved` seconds. `measure` finds tokens a second in at most so many seconds;
    it is asked with a budget only. So many tokens are `also_measured` whenever the validation split is.
    """
    precision = _name(dtype)
    wanted = estimate_steps(len(train_samples), config).steps
    if not config.max_train_minutes:
        return TrainingPlan(steps=wanted, wanted_steps=wanted, precision=precision)
    budget = config.max_train_minutes * 60
    began = time.monotonic()
    speed = measure(min(budget * _SHARE_TO_MEASURE, _MOST_SECONDS_TO_MEASURE))
    left = (budget - reserved - (time.monotonic() - began)) * _SHARE_TO_PLAN
    batch = config.samples_per_step
    step = train_samples.tokens() / max(1, len(train_samples)) * min(batch, len(train_samples)) / speed
    measured = (eval_samples.tokens() + also_measured) * _COST_OF_MEASURING_LOSS / speed
    # Held-out loss before the first step, every so many of them, and at the end.
    each = step + measured / config.eval_steps
    steps = min(wanted, max(1, int((left - 2 * measured) / each)))
    plan = TrainingPlan(
        steps=steps,
        wanted_steps=wanted,
        minutes=config.max_train_minutes,
        tokens_per_second=round(speed, 1),
        seconds=round(steps * each + 2 * measured, 1),
        precision=precision,
    )
    tell(plan, emit)
    return plan


def within(config: TrainingConfig, plan: TrainingPlan) -> TrainingConfig:
    """The config whose steps and schedule are those of the plan."""
    if plan.steps == plan.wanted_steps:
        return config
    return config.model_copy(update={"max_steps": plan.steps})


def tokens_per_second(
    loss_pass: LossPass,
    model: Any,
    samples: ArraySamples,
    config: TrainingConfig,
    group: ProcessGroup,
    at_most: float,
) -> float:
    """Speed of forward and back on the run's first batches, in about `at_most` seconds; of all processes together.

    It leaves no gradient behind, and random numbers as they were.
    """
    model.train()
    device = next(model.parameters()).device
    random, random_there = torch.get_rng_state(), _state_of(device)
    at_once = min(batches_together(loss_pass, config), _MEASURED_BATCHES)
    loader = EpochLoader(samples, config.per_device_train_batch_size * at_once, config.seed)
    batches = [on_device(batch, device) for batch in islice(loader, _MEASURED_BATCHES // at_once)]
    passes: list[Measured] = []
    began = time.monotonic()
    for batch in batches * _TURNS:
        passes.append(Measured(batch["input_ids"].numel(), _timed(loss_pass, batch, device)))
        if time.monotonic() - began > at_most:
            break
    model.zero_grad(set_to_none=True)
    torch.set_rng_state(random)
    if random_there is not None:
        torch.cuda.set_rng_state(random_there, device)
    return group.total_of(undisturbed_speed(passes, len(batches)))


class Measured(NamedTuple):
    """One pass over a batch of so many tokens."""

    tokens: int
    seconds: float


def undisturbed_speed(passes: Sequence[Measured], batches: int) -> float:
    """Tokens a second of passes that took turns on so many batches, by each batch's quickest pass.

    Nothing makes a pass quicker than it is; the first one warms up caches and allocator, and other programs slow down
    whichever they meet.
    """
    quickest = [
        min(passes[place::batches], key=lambda one: one.seconds) for place in range(batches)[: len(passes)]
    ]
    if len(passes) <= batches:
        # No second turn: all but the first pass, which has to do where there is no other.
        quickest = quickest[1:] or quickest
    return sum(one.tokens for one in quickest) / sum(one.seconds for one in quickest)


def _state_of(device: torch.device) -> torch.Tensor | None:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def _timed(loss_pass: LossPass, batch: Batch, device: torch.device) -> float:
    started = time.monotonic()
    torch.autograd.backward(loss_pass(batch))
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic() - started
