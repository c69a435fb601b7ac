"""Training that stops for a while or for good, and goes on: bit for bit where nothing was changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.worker.conftest import Recorder
from tests.worker.work.doing import train
from worker.work.protocol import Control, Paused, StopRequest

JobInput = Callable[..., dict[str, Any]]
# Three steps an epoch; what is logged, measured and saved falls on other steps than where a test stops.
CONFIG: dict[str, Any] = {
    "max_steps": 7,
    "logging_steps": 3,
    "eval_steps": 2,
    "save_steps": 100,
    "lora_dropout": 0.1,
    "early_stopping_patience": 9,
}


class Asking(Recorder):
    """Keeps what it is told, and asks for a stop at a step."""

    def __init__(self, control: Control, how: StopRequest, step: int) -> None:
        super().__init__()
        self.control, self.how, self.step = control, how, step

    def __call__(self, event: str, /, **payload: Any) -> None:
        super().__call__(event, **payload)
        if event == "progress" and payload["step"] == self.step:
            self.control.request_stop(self.how)


@pytest.fixture
def job(job_input: JobInput, small_model: Path) -> dict[str, Any]:
    return {**job_input(**CONFIG), "base_model_path": str(small_model)}


def measured(*told: Recorder) -> list[tuple[str, int, float]]:
    """Training and held-out losses in the order in which they were told."""
    return [
        (event["event"], event["step"], event.get("loss", event.get("eval_loss")))
        for emit in told
        for event in emit.events
        if event["event"] in ("metric", "eval")
    ]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(folder / "adapter" / "adapter_model.safetensors")
    return found


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def pause(job: dict[str, Any], folder: Path, step: int) -> Recorder:
    control = Control()
    emit = Asking(control, "pause", step)
    with pytest.raises(Paused):
        train(job, folder, emit, control)
    return emit


def test_a_run_that_paused_twice_has_the_losses_of_one_that_never_did(
    job: dict[str, Any], tmp_path: Path
) -> None:
    whole = Recorder()
    expected = train(job, tmp_path / "whole", whole, Control())
    first = pause(job, tmp_path / "run" / "1", 2)
    assert [event["step"] for event in first.of("checkpoint")] == [2]
    resumed = {**job, "resume_from": str(tmp_path / "run")}
    second, third = pause(resumed, tmp_path / "run" / "2", 5), Recorder()
    found = train(resumed, tmp_path / "run" / "3", third, Control())
    assert measured(first, second, third) == measured(whole)
    assert {**found, "peak_memory_bytes": 0} == {**expected, "peak_memory_bytes": 0}
    assert same(weights(tmp_path / "run" / "3"), weights(tmp_path / "whole"))


def test_a_pause_before_the_first_step_leaves_nothing_and_one_at_the_last_ends_the_run(
    job: dict[str, Any], tmp_path: Path
) -> None:
    control = Control()
    control.request_stop("pause")
    with pytest.raises(Paused):
        train(job, tmp_path / "early", Recorder(), control)
    assert not (tmp_path / "early" / "checkpoints").exists()
    late = Control()
    assert train(job, tmp_path / "late", Asking(late, "pause", 7), late)["stop_reason"] == "finished"


def test_what_is_kept_of_a_paused_run_is_what_it_had_learned_by_then(
    job: dict[str, Any], tmp_path: Path
) -> None:
    stopped = Control()
    expected = train(job, tmp_path / "stopped", Asking(stopped, "save", 3), stopped)
    pause(job, tmp_path / "run" / "1", 3)
    emit = Recorder()
    kept = {**job, "resume_from": str(tmp_path / "run"), "save_at_once": True}
    found = train(kept, tmp_path / "run" / "2", emit, Control())
    assert {**found, "peak_memory_bytes": 0} == {**expected, "peak_memory_bytes": 0}
    assert found["stop_reason"] == "requested"
    assert emit.of("metric") == emit.of("progress") == []
    assert same(weights(tmp_path / "run" / "2"), weights(tmp_path / "stopped"))
