"""TRL in two processes that `accelerate launch` starts from a file: the losses of one with twice the accumulation."""

import os
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from app.interop.handing import TOOL_VERSIONS
from app.interop.launching import read_launch
from app.runs.work import TrainInput
from tests.support import small_runs
from tests.support.installation import UNTIL_STOPPED
from tests.support.patience import HANGING_SECONDS
from tests.support.processes import working_in
from tests.support.two_processes import HELD_OUT, SETTINGS, TRAINING, StoppingAt, room_for_two
from tests.support.workers import wait_until
from tests.worker.conftest import PROVENANCE, Recorder
from worker.work import train
from worker.work.backends.run import launch_of
from worker.work.protocol import Control, JobFailed

__all__ = ["room_for_two"]
HERE = {"python": sys.executable, "version": TOOL_VERSIONS["trl"]}
# As `accelerate config` writes one for processors.
FILE = """
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_CPU
downcast_bf16: 'no'
machine_rank: 0
main_training_function: main
mixed_precision: 'no'
num_machines: 1
num_processes: 2
use_cpu: true
"""


def by_step(told: Recorder, kind: str, name: str) -> dict[int, float]:
    return {row["step"]: row[name] for row in told.of(kind)}


def test_two_processes_train_the_losses_of_one_and_stop_together(tmp_path: Path) -> None:
    alone = small_runs.train(
        tmp_path / "alone",
        training=TRAINING,
        held_out=HELD_OUT,
        **SETTINGS,
        gradient_accumulation_steps=2,
        max_steps=12,
    )
    both = StoppingAt(4)
    config = {
        **SETTINGS,
        "backend": "trl",
        "num_processes": 2,
        "accelerate_config": "cpus.yaml",
        **UNTIL_STOPPED,
    }
    job = small_runs.job(tmp_path / "both", training=TRAINING, held_out=HELD_OUT, **config)
    asked = TrainInput.model_validate(
        {**job, "backend": HERE, "launch": read_launch("cpus.yaml", FILE).to_json()}
    )
    result = train.run(asked, tmp_path / "both" / "output", both, both.control)

    for kind, name in (("metric", "loss"), ("metric", "grad_norm"), ("eval", "eval_loss")):
        expected, found = by_step(alone, kind, name), by_step(both, kind, name)
        shared = sorted(expected.keys() & found.keys())
        assert shared[:2] in ([1, 2], [0, 2])
        assert [found[step] for step in shared] == pytest.approx(
            [expected[step] for step in shared], rel=1e-5
        )
    assert 4 <= result.steps < UNTIL_STOPPED["max_steps"]
    assert (result.stop_reason, result.adapter_step) == ("requested", result.steps)
    # Each told what it trained: no sample went unseen, and none was another than the checked one.
    assert (result.labels_seen, result.labels_total) == (20, 20)
    assert [row["step"] for row in both.of("progress")] == list(range(1, result.steps + 1))
    assert (tmp_path / "both/output/adapter/adapter_model.safetensors").is_file()
    wait_until(
        lambda: not working_in(tmp_path), timeout_seconds=HANGING_SECONDS, what="the end of both processes"
    )


def test_without_a_file_so_many_processes_are_started_as_the_run_says() -> None:
    config = {"num_processes": 3, "backend": "trl"}
    whole = {
        "arrays": "a",
        "arrays_hash": "b",
        "base_model_path": "c",
        "config": config,
        "provenance": PROVENANCE,
    }
    found = launch_of(TrainInput.model_validate(whole), on_cpu=True)
    assert found is not None
    assert (found.way, found.num_processes) == ("MULTI_CPU", 3)
    there = launch_of(TrainInput.model_validate(whole), on_cpu=False)
    assert there is not None
    assert there.way == "MULTI_GPU"
    alone = {**whole, "config": {"backend": "trl"}}
    assert launch_of(TrainInput.model_validate(alone), on_cpu=True) is None


def test_more_processes_than_the_machine_has_cores_are_refused_before_anything_is_loaded(
    tmp_path: Path,
) -> None:
    job = small_runs.job(tmp_path, training=TRAINING, held_out=HELD_OUT, backend="trl", num_processes=64)
    with pytest.raises(JobFailed) as refused:
        train.run(
            TrainInput.model_validate({**job, "backend": HERE}), tmp_path / "out", Recorder(), Control()
        )
    cores = len(os.sched_getaffinity(0))
    assert f"a run has {cores} processor cores at most" in refused.value.sentence.english()


def test_two_processes_train_every_weight_as_one_does(tmp_path: Path) -> None:
    full = {**SETTINGS, "use_peft": False, "learning_rate": 1e-4, "max_steps": 6}
    alone = small_runs.train(
        tmp_path / "alone", training=TRAINING, held_out=HELD_OUT, **full, gradient_accumulation_steps=2
    )
    both = Recorder()
    config = {**full, "backend": "trl", "num_processes": 2}
    job = small_runs.job(tmp_path / "both", training=TRAINING, held_out=HELD_OUT, **config)
    asked = TrainInput.model_validate({**job, "backend": HERE})
    result = train.run(asked, tmp_path / "both" / "output", both, Control())

    for kind, name in (("metric", "loss"), ("metric", "grad_norm"), ("eval", "eval_loss")):
        assert by_step(both, kind, name) == pytest.approx(by_step(alone, kind, name), rel=1e-5)
    assert (result.adapter, result.labels_seen, result.labels_total) == ("model", 20, 20)
    ours, theirs = (
        load_file(tmp_path / who / "output" / "model" / "model.safetensors") for who in ("alone", "both")
    )
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(theirs[name], tensor, rtol=0, atol=2e-5)
