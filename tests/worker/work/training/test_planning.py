"""A run with a time budget: measured on its own batches, planned before its first step, kept when it goes on."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from app.masking import Split
from app.masking.samples.arrays import read_arrays
from app.recipes.config import TrainingConfig
from tests.worker.conftest import Recorder
from tests.worker.work.doing import train
from worker.work.protocol import Control
from worker.work.training.data import ArraySamples
from worker.work.training.planning import Measured, make_plan, undisturbed_speed

JobInput = Callable[..., dict[str, Any]]
UNLIMITED: dict[str, Any] = {"num_train_epochs": 100, "max_steps": -1, "per_device_train_batch_size": 1}


def losses(emit: Recorder) -> dict[int, float]:
    return {event["step"]: event["loss"] for event in emit.of("metric")}


def test_the_steps_that_fit_are_counted_with_what_measuring_the_loss_takes(
    job_input: JobInput, emit: Recorder
) -> None:
    arrays = read_arrays(Path(job_input([100] * 12, validation=2)["arrays"]))
    train, held_out = (ArraySamples(arrays, split) for split in (Split.TRAIN, Split.VALIDATION))

    def plan(minutes: float, **changes: Any) -> Any:
        config = TrainingConfig(
            max_train_minutes=minutes,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=1,
            num_train_epochs=10,
            **changes,
        )
        return make_plan(config, train, held_out, torch.float32, lambda _seconds: 10.0, emit)

    # A step takes 200 tokens, 20 s; measuring the loss 200 tokens forward, 6.7 s.
    assert [plan(minutes).steps for minutes in (0, 1000, 10, 0.1)] == [50, 50, 26, 1]
    assert plan(10, eval_steps=1).steps == 19
    planned = plan(10)
    assert (planned.wanted_steps, planned.tokens_per_second, planned.precision) == (50, 10.0, "float32")
    assert 500 < planned.seconds < 540
    assert plan(0).tokens_per_second is None
    assert emit.of("log")[-1]["sentence"]["values"]["steps"] == 26


def test_what_slows_the_machine_down_for_a_while_does_not_make_the_plan_shorter() -> None:
    """Two batches of 300 and 100 tokens in turns; undisturbed, they take 3 s and 1 s."""

    def speed(*seconds: float) -> float:
        tokens = [300, 100] * len(seconds)
        return undisturbed_speed([Measured(*one) for one in zip(tokens, seconds, strict=False)], 2)

    assert speed(9, 1, 3, 1) == 100
    # Busy for most of the time, and for another part of it with each batch.
    assert speed(9, 3, 9, 3, 9, 1, 3, 3) == 100
    # Busy all the time, nothing else can be said.
    assert speed(6, 2, 6, 2) == 50
    # Too slow for two turns: the first pass warms up and counts only where it is the only one.
    assert (speed(9, 1), speed(6)) == (100, 50)


def test_measuring_changes_no_number_of_the_run(
    job_input: JobInput, small_model: Path, tmp_path: Path, control: Control
) -> None:
    adapters = []
    for minutes in (0, 1000):
        job = job_input(max_steps=4, lora_dropout=0.1, max_train_minutes=minutes)
        result = train(
            {**job, "base_model_path": str(small_model)}, tmp_path / str(minutes), Recorder(), control
        )
        assert (result["labels_seen"], result["plan"]["steps"]) == (8, 4)
        adapters.append((tmp_path / str(minutes) / "adapter" / "adapter_model.safetensors").read_bytes())
    assert adapters[0] == adapters[1]


def test_a_run_ends_within_its_budget_and_goes_on_with_the_same_plan(
    job_input: JobInput, small_model: Path, tmp_path: Path, control: Control
) -> None:
    job = job_input(**UNLIMITED, max_train_minutes=0.01, save_steps=1, eval_steps=1000)
    job["base_model_path"] = str(small_model)
    whole, resumed = Recorder(), Recorder()
    found = train(job, tmp_path / "job" / "1", whole, control)
    plan = found["plan"]
    assert (found["steps"], found["total_steps"]) == (plan["steps"], plan["steps"])
    assert plan["steps"] < plan["wanted_steps"] == 600
    # The schedule ends with the run, not where the epochs would have ended.
    assert whole.of("metric")[-1]["learning_rate"] < 1e-3 / plan["steps"] * 1.01
    newest = max((tmp_path / "job/1/checkpoints").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    (newest / "adapter_model.safetensors").write_bytes(b"half")
    again = train({**job, "resume_from": str(tmp_path / "job")}, tmp_path / "job" / "2", resumed, control)
    assert again["plan"] == plan
    assert plan["pieces"] == {
        "schema_version": 1,
        "device": "cpu",
        "rows": "packed",
        "adapter": "studio",
        "liger": False,
        "prefixes": "once",
    }
    assert losses(resumed) == {plan["steps"]: losses(whole)[plan["steps"]]}


def test_precision_is_what_the_device_is_quick_at_not_what_it_says_it_can_do() -> None:
    """Without its kernels for bf16 a processor still says that it has bf16, and takes many times as long."""
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import torch; from worker.work.training.devices import is_good_at_bf16; "
            "print(is_good_at_bf16(torch.device('cpu')))",
        ],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "2"},
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "False"
