"""On what a process trains: the GPU that it was given, or the processor and nothing else."""

import pytest
import torch

from tests.support.said import said
from tests.worker.conftest import Recorder
from worker.work.protocol import JobFailed
from worker.work.training.devices import tell_left_alone, training_device, untried_devices

NO_GPU = not torch.cuda.is_available()


@pytest.mark.skipif(not NO_GPU, reason="there is a GPU")
@pytest.mark.parametrize("given", ["GPU-5a1f", "MIG-22c0"])
def test_a_gpu_that_torch_cannot_use_is_a_failure_and_no_slower_run(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    with pytest.raises(JobFailed) as refused:
        training_device()
    assert refused.value.code == "device_failed"
    # With torch's own reason.
    assert (given in str(refused.value), "CUDA" in str(refused.value)) == (True, True)


@pytest.mark.skipif(not NO_GPU, reason="there is a GPU")
@pytest.mark.parametrize("left", [None, "", "0", "-1"])
def test_without_a_gpu_the_processor_trains_whatever_the_environment_was_left_with(
    left: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if left is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", left)
    assert training_device() == torch.device("cpu")


@pytest.mark.parametrize(
    ("where", "kind"), [("torch.backends.mps", "Apple MPS"), ("torch.xpu", "Intel XPU"), (None, "AMD ROCm")]
)
def test_devices_of_other_makers_are_named_and_left_alone(
    where: str | None, kind: str, emit: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch is made to say that it has one; ROCm's speaks as CUDA and has a version of its own."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(f"{where or 'torch.cuda'}.is_available", lambda: True)
    if where is None:
        monkeypatch.setattr("torch.version.hip", "7.1")
    assert untried_devices() == [kind]
    if NO_GPU:
        assert training_device() == torch.device("cpu")
    tell_left_alone(torch.device("cpu"), emit)
    (told,) = [said(event) for event in emit.of("log")]
    assert kind in told


def test_where_there_is_nothing_else_nothing_is_said(emit: Recorder) -> None:
    if not untried_devices():
        tell_left_alone(torch.device("cpu"), emit)
        assert emit.of("log") == []
