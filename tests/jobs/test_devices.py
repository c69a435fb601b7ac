"""What a worker has, and what a job may ask for."""

import pytest

from app.core.errors import Invalid
from app.jobs.devices import (
    Devices,
    Gpu,
    WorkerDevice,
    parse_wish,
    read_gpus,
    these_devices,
    visible_gpus,
)

# As nvidia-smi prints them.
TOLD = """0, GPU-aaaa1111-0000, NVIDIA H200, 143771, 143152
1, GPU-bbbb2222-0000, NVIDIA H200, 143771, 100
Unable to determine the device handle for GPU2: Unknown Error
"""


def devices(*names: str, jobs_each: int = 1) -> Devices:
    made = [WorkerDevice(name=name, title=name, memory=1, key=f"key-{name}") for name in names]
    return Devices(devices=made, jobs_each=jobs_each)


def test_gpus_are_read_as_the_driver_tells_them() -> None:
    found = read_gpus(TOLD)
    assert found[0] == Gpu(0, "GPU-aaaa1111-0000", "NVIDIA H200", 143771 * 2**20, 143152 * 2**20)
    assert [one.index for one in found] == [0, 1]
    assert read_gpus("") == []


@pytest.mark.parametrize(
    ("variable", "left"),
    [(None, [0, 1]), ("1,0", [1, 0]), ("GPU-bbbb", [1]), ("", []), ("0,9,1", [0]), ("-1", [])],
)
def test_gpus_are_counted_as_cuda_counts_them(variable: str | None, left: list[int]) -> None:
    assert [one.index for one in visible_gpus(read_gpus(TOLD), variable)] == left


@pytest.mark.parametrize(
    ("wish", "fits"),
    [("any", ["cuda:0", "cuda:1"]), ("cuda", ["cuda:0", "cuda:1"]), ("cpu", ["cpu"]), ("cuda:2", [])],
)
def test_a_job_that_may_run_anywhere_leaves_the_processor_alone_where_there_is_a_gpu(
    wish: str, fits: list[str]
) -> None:
    assert [one.name for one in devices("cuda:0", "cuda:1", "cpu").fitting(wish)] == fits
    assert [one.name for one in devices("cpu").fitting("any")] == ["cpu"]


def test_devices_are_filled_one_by_one_before_any_has_two_jobs() -> None:
    slots = devices("cuda:0", "cuda:1", jobs_each=2).slots("any")
    assert [slot.device for slot in slots] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert len({slot.key for slot in slots}) == 4


def test_a_job_sees_its_own_gpu_alone() -> None:
    both = devices("cuda:0", "cuda:1", "cpu")
    assert both.visible("cuda:1") == {"CUDA_VISIBLE_DEVICES": "key-cuda:1"}
    assert both.visible("cpu") == {"CUDA_VISIBLE_DEVICES": ""}
    assert devices("cpu").visible("cpu") == {}


def test_a_wish_is_read_as_typed_or_refused_by_field() -> None:
    assert [parse_wish(text) for text in ("", " CUDA:1 ", "cpu")] == ["any", "cuda:1", "cpu"]
    for wrong in ("gpu", "cuda:", "cuda:x", "cpu:0"):
        with pytest.raises(Invalid) as refused:
            parse_wish(wrong)
        assert refused.value.field == "device"


def test_this_machine_has_a_processor() -> None:
    cpu = these_devices(1).devices[-1]
    assert (cpu.name, cpu.cores > 0, cpu.memory > 0) == ("cpu", True, True)


def test_gpus_that_one_run_has_together_are_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Gpu(place, f"GPU-{place}", "NVIDIA H200", 10, 9) for place in range(5)]
    monkeypatch.setattr("app.jobs.devices.gpus", lambda: found)
    pairs = these_devices(1, gpus_each=2)
    assert [(one.name, one.title, one.memory) for one in pairs.devices[:-1]] == [
        ("cuda:0", "2 × NVIDIA H200", 20),
        ("cuda:1", "2 × NVIDIA H200", 20),
    ]
    assert pairs.visible("cuda:1") == {"CUDA_VISIBLE_DEVICES": "GPU-2,GPU-3"}
    assert pairs.visible("cpu") == {"CUDA_VISIBLE_DEVICES": ""}
    assert len({slot.key for slot in pairs.slots("cuda")}) == 2
    # Where there are fewer, a run that wants more says so, and none trains on GPUs that it was not given.
    assert these_devices(1, gpus_each=8).visible("cuda:0")["CUDA_VISIBLE_DEVICES"].count("GPU-") == 5
