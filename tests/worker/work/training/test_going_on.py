"""Training that stops for a while or for good, and goes on: bit for bit where nothing was changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.support.said import said
from tests.worker.conftest import Recorder
from tests.worker.work.doing import train
from worker.work.protocol import Control, JobFailed, Paused, StopRequest

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
    # whoever draws the curve knows how far it is still true
    assert [event["step"] for event in emit.of("restored")] == [3]
    assert same(weights(tmp_path / "run" / "2"), weights(tmp_path / "stopped"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_steps": -1, "num_train_epochs": 2},
        {
            "learning_rate": 0.01,
            "max_steps": 60,
            "eval_steps": 1,
            "save_steps": 1,
            "early_stopping_patience": 1,
        },
    ],
    ids=["after the last step", "after the last epoch", "after the step at which it was stopped early"],
)
def test_a_run_whose_worker_was_lost_after_its_last_checkpoint_trains_no_more(
    job: dict[str, Any], tmp_path: Path, changes: dict[str, Any]
) -> None:
    job["config"] |= changes
    expected = train(job, tmp_path / "run" / "1", Recorder(), Control())
    lost = {**job, "resume_from": str(tmp_path / "run")}
    emit = Recorder()
    found = train(lost, tmp_path / "run" / "2", emit, Control())
    assert emit.of("metric") == emit.of("eval") == []
    assert {**found, "peak_memory_bytes": 0} == {**expected, "peak_memory_bytes": 0}
    assert expected["stop_reason"] == ("no_improvement" if "learning_rate" in changes else "finished")
    assert same(weights(tmp_path / "run" / "2"), weights(tmp_path / "run" / "1"))


def test_a_run_by_epochs_whose_worker_was_lost_trains_what_was_left(
    job: dict[str, Any], tmp_path: Path
) -> None:
    job["config"] |= {"max_steps": -1, "num_train_epochs": 2}
    whole = Recorder()
    expected = train(job, tmp_path / "whole", whole, Control())
    first = pause(job, tmp_path / "run" / "1", 4)
    second = Recorder()
    found = train({**job, "resume_from": str(tmp_path / "run")}, tmp_path / "run" / "2", second, Control())
    assert measured(first, second) == measured(whole)
    assert {**found, "peak_memory_bytes": 0} == {**expected, "peak_memory_bytes": 0}


def begin(job: dict[str, Any], how: str, folder: Path, step: int, **config: Any) -> dict[str, Any]:
    at = {"how": how, "run_id": 4, "step": step, "folder": str(folder)}
    return {**job, "config": {**job["config"], **config}, "begin": at}


def checkpoint(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"checkpoint-{step}"


def test_a_run_that_goes_on_from_a_checkpoint_of_another_has_the_losses_that_one_would_have_had(
    job: dict[str, Any], tmp_path: Path
) -> None:
    whole = Recorder()
    job["config"]["save_steps"] = 2
    expected = train(job, tmp_path / "first" / "1", whole, Control())
    at = checkpoint(tmp_path / "first" / "1", 4)
    first = pause(begin(job, "checkpoint", at, 4), tmp_path / "second" / "1", 6)
    onward, rest = begin(job, "checkpoint", at, 4, logging_steps=1), Recorder()
    onward["resume_from"] = str(tmp_path / "second")
    found = train(onward, tmp_path / "second" / "2", rest, Control())
    later = [one for one in measured(whole) if one[1] > 4]
    assert measured(first)[0][1] == 6
    assert [one for one in measured(first, rest) if one in later] == later
    assert {**found, "peak_memory_bytes": 0} == {**expected, "peak_memory_bytes": 0}
    assert same(weights(tmp_path / "second" / "2"), weights(tmp_path / "first" / "1"))


def test_a_finished_run_goes_on_with_more_steps_at_the_rate_of_the_longer_schedule(
    job: dict[str, Any], tmp_path: Path
) -> None:
    train(job, tmp_path / "first" / "1", Recorder(), Control())
    longer, whole = Recorder(), Recorder()
    at = checkpoint(tmp_path / "first" / "1", 7)
    more = begin(job, "checkpoint", at, 7, max_steps=10, learning_rate=5e-4, logging_steps=1)
    result = train(more, tmp_path / "second" / "1", longer, Control())
    train({**more, "begin": None}, tmp_path / "whole" / "1", whole, Control())
    assert (result["steps"], result["plan"]["steps"]) == (10, 10)
    rates = {event["step"]: event["learning_rate"] for event in whole.of("metric")}
    assert {event["step"]: event["learning_rate"] for event in longer.of("metric")} == {
        step: rates[step] for step in (8, 9, 10)
    }
    with pytest.raises(JobFailed, match="another configuration"):
        train(
            begin(job, "checkpoint", at, 7, max_steps=10, seed=7), tmp_path / "third", Recorder(), Control()
        )


def test_a_checkpoint_is_made_a_model_as_it_is_though_another_was_better(
    job: dict[str, Any], tmp_path: Path
) -> None:
    job["config"] |= {"save_steps": 2, "learning_rate": 0.01}
    train(job, tmp_path / "first" / "1", whole := Recorder(), Control())
    at, emit = checkpoint(tmp_path / "first" / "1", 4), Recorder()
    found = train(begin(job, "kept", at, 4), tmp_path / "second" / "1", emit, Control())
    assert (found["steps"], found["adapter_step"], found["stop_reason"]) == (4, 4, "checkpoint")
    assert ("eval", 4, found["eval_loss"]) in measured(whole)
    assert emit.of("progress") == []
    kept = load_file(at / "adapter_model.safetensors")
    assert same(kept, weights(tmp_path / "second" / "1"))
    (at / "adapter_model.safetensors").write_bytes(b"half")
    with pytest.raises(JobFailed, match="not whole any more"):
        train(begin(job, "kept", at, 4), tmp_path / "third" / "1", emit, Control())


def test_a_run_that_begins_from_an_adapter_measures_first_what_the_earlier_one_measured_last(
    job: dict[str, Any], tmp_path: Path
) -> None:
    job["config"] |= {"early_stopping_patience": 0, "use_dora": True}
    earlier = train(job, tmp_path / "first" / "1", Recorder(), Control())
    emit, folder = Recorder(), tmp_path / "first" / "1" / "adapter"
    more = begin(job, "adapter", folder, 7, max_steps=2, logging_steps=1, lr_scheduler_type="linear")
    train(more, tmp_path / "second" / "1", emit, Control())
    assert emit.of("eval")[0] == {"event": "eval", "step": 0, "eval_loss": earlier["eval_loss"]}
    assert [event["learning_rate"] for event in emit.of("metric")] == [1e-3, 5e-4]
    assert any("warms up again" in said(event) for event in emit.of("log"))
    with pytest.raises(JobFailed, match="another rank"):
        train({**more, "config": {**more["config"], "lora_r": 8}}, tmp_path / "third", emit, Control())
