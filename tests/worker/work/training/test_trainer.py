"""What the config says is what transformers' Trainer does: warm-up, and every optimizer, also after a resume."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from app.recipes.config import TrainingConfig
from tests.worker.conftest import Recorder
from tests.worker.work.doing import train
from worker.work.protocol import Control
from worker.work.training.arguments import set_warm_up, training_arguments

JobInput = Callable[..., dict[str, Any]]
CPU = torch.device("cpu")


def warm_up(folder: Path, steps: int = 100, emit: Recorder | None = None, **changes: Any) -> float:
    config = TrainingConfig(**changes)
    args = training_arguments(config, folder, CPU, torch.sum, evaluate=False, resumed=False)
    set_warm_up(args, config, steps, emit or Recorder())
    return args.get_warmup_steps(steps)


def test_warm_up_is_a_share_of_the_steps_or_a_number_of_them(tmp_path: Path) -> None:
    assert warm_up(tmp_path, warmup_ratio=0.1) == 10
    assert warm_up(tmp_path, warmup_ratio=0.1, warmup_steps=3) == 3
    assert warm_up(tmp_path, warmup_ratio=0.1, warmup_steps=1) == 1
    assert warm_up(tmp_path, warmup_ratio=0.0) == 0


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("schedule", ["cosine", "constant_with_warmup"])
def test_every_step_of_a_very_short_run_has_a_learning_rate(
    job_input: JobInput, small_model: Path, tmp_path: Path, control: Control, steps: int, schedule: str
) -> None:
    emit = Recorder()
    job = job_input(
        max_steps=steps, logging_steps=1, warmup_ratio=0.1, lr_scheduler_type=schedule, learning_rate=0.002
    )
    train({**job, "base_model_path": str(small_model)}, tmp_path, emit, control)
    rates = [event["learning_rate"] for event in emit.of("metric")]
    assert len(rates) == steps
    assert min(rates) > 0, rates
    assert max(rates) == rates[0] == 0.002


def test_a_time_budget_that_leaves_warm_up_alone_is_told_of(tmp_path: Path) -> None:
    emit = Recorder()
    assert warm_up(tmp_path, 7, emit, warmup_steps=8, max_train_minutes=5) == 8
    [told] = emit.of("log")
    assert told["sentence"]["values"] == {"steps": 7, "warm": 8}
    warm_up(tmp_path, 9, emit, warmup_steps=8, max_train_minutes=5)
    assert len(emit.of("log")) == 1


@pytest.mark.parametrize("optim", ["adamw_torch", "adamw_torch_fused", "adafactor", "sgd"])
@pytest.mark.parametrize("schedule", ["cosine_with_restarts", "polynomial"])
def test_every_optimizer_and_schedule_goes_on_where_it_stopped(
    job_input: JobInput, small_model: Path, tmp_path: Path, control: Control, optim: str, schedule: str
) -> None:
    job = job_input(max_steps=4, save_steps=2, eval_steps=4, optim=optim, lr_scheduler_type=schedule)
    job["base_model_path"] = str(small_model)
    whole, resumed = Recorder(), Recorder()
    train(job, tmp_path / "whole", whole, control)
    for checkpoint in (tmp_path / "whole" / "checkpoints").iterdir():
        if checkpoint.name != "checkpoint-2":
            (checkpoint / "adapter_model.safetensors").write_bytes(b"half")
    train({**job, "resume_from": str(tmp_path / "whole")}, tmp_path / "resumed", resumed, control)
    losses = {event["step"]: event["loss"] for event in whole.of("metric")}
    again = {event["step"]: event["loss"] for event in resumed.of("metric")}
    assert sorted(again) == [3, 4]
    assert again == {step: losses[step] for step in (3, 4)}


def test_the_held_out_loss_is_the_same_for_any_batch_size(
    job_input: JobInput, small_model: Path, tmp_path: Path, control: Control
) -> None:
    measured = []
    for size in (1, 4):
        emit = Recorder()
        job = job_input(validation=4, max_steps=1, per_device_eval_batch_size=size)
        train({**job, "base_model_path": str(small_model)}, tmp_path / str(size), emit, control)
        measured.append([event["eval_loss"] for event in emit.of("eval")])
    assert measured[0] == pytest.approx(measured[1], rel=1e-5)


def test_lanes_that_share_all_batches_of_a_step_train_as_one_that_takes_them_in_turns(
    job_input: JobInput, small_model: Path, tmp_path: Path, control: Control
) -> None:
    # The last step of an epoch has one batch, and that one conversation.
    job = job_input(
        lengths=[24, 17, 31, 20, 26, 15, 22, 19, 28],
        base=small_model,
        gradient_accumulation_steps=3,
        max_steps=5,
        eval_steps=2,
    )
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        emit = Recorder()
        result = train(job, tmp_path / str(threads), emit, control)
        found.append(
            (
                {event["step"]: event["loss"] for event in emit.of("metric")},
                [event["eval_loss"] for event in emit.of("eval")],
                result,
            )
        )
    (alone, measured, one), (shared, measured_too, other) = found
    assert list(alone) == list(shared) == [1, 2, 3, 4, 5]
    assert list(shared.values()) == pytest.approx(list(alone.values()), rel=1e-4)
    assert measured_too == pytest.approx(measured, rel=1e-4)
    same = ("steps", "tokens", "trained_tokens", "labels_hash", "labels_seen", "adapter_step")
    assert {key: one[key] for key in same} == {key: other[key] for key in same}
