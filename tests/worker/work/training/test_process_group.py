"""Two processes train one run: the losses of a single one, and they end together whatever happens to either."""

import functools
import itertools
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from tests.support import small_runs
from tests.support.processes import below
from tests.support.two_processes import room_for_two
from tests.worker.conftest import Recorder
from tests.worker.work import doing
from worker import memory_kills
from worker.effort import LIFE
from worker.work.protocol import Cancelled, Control, JobFailed
from worker.work.training import meetings, process_group
from worker.work.training.data import EpochBatches
from worker.work.training.process_group import FOLDER, ProcessGroup, environment_of, require_room

__all__ = ["room_for_two"]
# 18 samples: the last step of an epoch has an empty batch in one of two processes.
DATA = small_runs.exchanges()[:18], small_runs.exchanges()[18:23]
SETTINGS: dict[str, Any] = {
    "per_device_train_batch_size": 2,
    "lora_dropout": 0.0,
    "num_train_epochs": 2,
    "learning_rate": 1e-3,
    "eval_steps": 4,
}


@pytest.fixture(autouse=True)
def _threads() -> Any:
    small_runs.base_folder()  # made first, and with the threads that everybody has
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def run(folder: Path, **config: Any) -> Recorder:
    torch.set_num_threads(2)
    return small_runs.train(folder, training=DATA[0], held_out=DATA[1], **SETTINGS, **config)


def losses(told: Recorder, kind: str = "metric", of: str = "loss") -> list[float]:
    return [event[of] for event in told.of(kind)]


def test_two_processes_give_the_losses_and_the_adapter_of_one_with_twice_the_accumulation(
    tmp_path: Path,
) -> None:
    alone = run(tmp_path / "alone", gradient_accumulation_steps=4)
    both = run(tmp_path / "both", gradient_accumulation_steps=2, num_processes=2)
    [expected], [found] = alone.of("result"), both.of("result")
    assert found["steps"] == expected["steps"] == 6
    # Sums in another order: what is left is the rounding of fp32.
    assert losses(both) == pytest.approx(losses(alone), rel=1e-5)
    assert losses(both, "eval", "eval_loss") == pytest.approx(losses(alone, "eval", "eval_loss"), rel=1e-5)
    assert losses(both, of="grad_norm") == pytest.approx(losses(alone, of="grad_norm"), rel=1e-3)
    weights = [
        load_file(tmp_path / name / "output/adapter/adapter_model.safetensors") for name in ("alone", "both")
    ]
    for name, expected_weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], expected_weight, rtol=1e-3, atol=1e-5)
    # What each of them saw is told together: every label that was checked reached the loss.
    assert (found["labels_hash"], found["labels_seen"]) == (expected["labels_hash"], expected["labels_seen"])
    assert not (tmp_path / "both" / "output" / FOLDER).exists()
    # Each has the libraries and the model for itself; what was told before is the peak of this process alone.
    assert found["peak_memory_bytes"] > expected["peak_memory_bytes"] + 200e6


def test_a_run_of_two_processes_goes_on_from_its_checkpoint_bit_for_bit(tmp_path: Path) -> None:
    config = {"num_processes": 2, "lora_dropout": 0.1, "save_steps": 3, "early_stopping_patience": 9}
    settings = {**SETTINGS, **config}
    job = small_runs.job(tmp_path, training=DATA[0], held_out=DATA[1], **settings)
    whole, resumed = Recorder(), Recorder()
    expected = doing.train(job, tmp_path / "whole", whole, Control())
    for checkpoint in (tmp_path / "whole" / "checkpoints").iterdir():
        if checkpoint.name != "checkpoint-3":
            (checkpoint / "training_state.safetensors").write_bytes(b"half")
    torch.set_num_threads(2)
    found = doing.train(
        {**job, "resume_from": str(tmp_path / "whole")}, tmp_path / "resumed", resumed, Control()
    )
    assert losses(resumed) == losses(whole)[3:]
    assert found["labels_seen"] == expected["labels_seen"]
    assert found["eval_loss"] == expected["eval_loss"]


class AtFirstStep(Recorder):
    """Does something when the first step has been told."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self.act = act

    def __call__(self, event: str, /, **payload: Any) -> None:
        super().__call__(event, **payload)
        if event == "progress" and payload["step"] == 1:
            self.act()


def others() -> list[psutil.Process]:
    return below(os.getpid(), "worker.work.training.other_process")


@pytest.mark.parametrize("stop", ["save", "cancel"])
def test_a_wish_to_stop_reaches_every_process_at_the_same_step(tmp_path: Path, stop: Any) -> None:
    control = Control()
    emit = AtFirstStep(lambda: control.request_stop(stop))
    settings = {**SETTINGS, "num_processes": 2, "num_train_epochs": 50}
    job = small_runs.job(tmp_path, training=DATA[0], held_out=DATA[1], **settings)
    if stop == "cancel":
        with pytest.raises(Cancelled):
            doing.train(job, tmp_path / "out", emit, control)
    else:
        result = doing.train(job, tmp_path / "out", emit, control)
        assert (result["steps"], result["stop_reason"]) == (1, "requested")
    assert len(emit.of("progress")) == 1
    assert others() == []


@pytest.mark.parametrize(
    ("counted", "code", "said"),
    [
        (None, "killed", "Process 1 of 2 was killed (signal SIGKILL). Often that is the machine's memory"),
        (1, "killed", "memory ran out, and the system killed process 1 of 2 (signal SIGKILL)"),
        (0, "died", "Process 1 of 2 was ended from outside (signal SIGKILL)"),
    ],
)
def test_a_process_that_is_killed_ends_the_run_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: int | None, code: str, said: str
) -> None:
    """`counted` processes are killed for memory meanwhile; None: the kernel counts none."""
    counts = tmp_path / "vmstat"
    monkeypatch.setattr(memory_kills, "_COUNTED_IN", (str(counts),))
    if counted is not None:
        counts.write_text("oom_kill 4\n")

    def kill() -> None:
        if counted is not None:
            counts.write_text(f"oom_kill {4 + counted}\n")
        others()[0].send_signal(signal.SIGKILL)

    settings = {**SETTINGS, "num_processes": 2, "num_train_epochs": 50}
    job = small_runs.job(tmp_path, training=DATA[0], held_out=DATA[1], **settings)
    with pytest.raises(JobFailed) as refused:
        doing.train(job, tmp_path / "out", AtFirstStep(kill), Control())
    assert refused.value.code == code
    assert said in refused.value.sentence.english()
    assert (refused.value.again is not None) == (counted == 0)
    assert others() == []


def train_until_one_stops(folder: Path) -> None:
    """Stopped after the first step, the other process holds its connections and does nothing."""
    settings = {**SETTINGS, "num_processes": 2, "num_train_epochs": 50}
    job = small_runs.job(folder, training=DATA[0], held_out=DATA[1], **settings)
    emit = AtFirstStep(lambda: others()[0].send_signal(signal.SIGSTOP))
    doing.train(job, folder / "out", emit, Control())


def test_a_process_that_hangs_ends_the_run_long_before_the_time_that_a_long_step_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_group, "STILL_SECONDS", 3.0)
    monkeypatch.setattr(process_group, "LOOK_SECONDS", 0.2)
    with pytest.raises(JobFailed, match="Process 1 of 2 hangs: the others wait for it") as refused:
        train_until_one_stops(tmp_path)
    assert refused.value.code == "stalled"
    assert refused.value.again is not None
    assert others() == []


def test_a_process_that_computes_is_waited_for_and_in_the_end_told_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every one of its looks finds that it has done something, so that it does not hang; its patience has an end all the same."""
    monkeypatch.setattr(process_group, "STILL_SECONDS", 1.0)
    monkeypatch.setattr(process_group, "BUSY_SECONDS", 3.0)
    monkeypatch.setattr(process_group, "BUSY_SHARES", 0)
    monkeypatch.setattr(process_group, "LOOK_SECONDS", 0.2)
    efforts = itertools.count(0, LIFE)
    busy = functools.partial(meetings.Patience, lambda _pid: {1: next(efforts)})
    monkeypatch.setattr(process_group, "Patience", busy)
    with pytest.raises(JobFailed, match="The others have waited for process 1 of 2 for 0 minutes") as refused:
        train_until_one_stops(tmp_path)
    assert refused.value.code == "stalled"
    assert others() == []


def test_a_process_that_ends_before_they_meet_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(group: ProcessGroup, _rank: int, _device: torch.device) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"], stdin=subprocess.PIPE)

    monkeypatch.setattr(process_group, "_start", start)
    # Nothing that is waited for comes to an end by itself here.
    monkeypatch.setattr(process_group, "STILL_SECONDS", math.inf)
    job = small_runs.job(tmp_path, training=DATA[0], held_out=DATA[1], **SETTINGS, num_processes=2)
    with pytest.raises(JobFailed, match=r"Process 1 of 2 ended unexpectedly \(exit code 7\)"):
        doing.train(job, tmp_path / "out", Recorder(), Control())
    assert not (tmp_path / "out" / FOLDER).exists()


def test_more_processes_than_the_machine_has_room_for_are_refused() -> None:
    with pytest.raises(JobFailed) as refused:
        require_room(4096, torch.device("cpu"))
    assert "num_processes is 4,096" in refused.value.sentence.english()
    assert refused.value.code == "config_invalid"


def test_each_process_sees_one_gpu_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert environment_of(1, gpu)["CUDA_VISIBLE_DEVICES"] == "1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b,GPU-c")
    assert environment_of(2, gpu)["CUDA_VISIBLE_DEVICES"] == "GPU-c"
    assert environment_of(1, torch.device("cpu"))["CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-b,GPU-c"


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_give_the_losses_of_one_with_twice_the_accumulation(tmp_path: Path) -> None:
    alone = run(tmp_path / "alone", gradient_accumulation_steps=4)
    both = run(tmp_path / "both", gradient_accumulation_steps=2, num_processes=2)
    assert losses(both) == pytest.approx(losses(alone), rel=1e-3)


def test_every_batch_of_an_epoch_goes_to_one_process_and_each_has_as_many() -> None:
    whole = list(EpochBatches(18, 2, 7))
    parts = [list(EpochBatches(18, 2, 7, rank=rank, processes=4)) for rank in range(4)]
    assert [len(part) for part in parts] == [3] * 4
    dealt = [batch for turn in zip(*parts, strict=True) for batch in turn]
    assert dealt[: len(whole)] == whole
    assert dealt[len(whole) :] == [[]] * 3


def test_alone_nothing_is_sent_anywhere() -> None:
    group, weight = ProcessGroup(), torch.nn.Parameter(torch.ones(2))
    loss = torch.tensor(3.0)
    assert group.total(1, 2) == [1, 2]
    assert group.led({"a": 1}) == {"a": 1}
    assert group.add_gradients([weight], loss) is loss
    assert weight.grad is None
