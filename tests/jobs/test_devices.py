"""What a worker has, and what a job may ask for."""

import os
from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.jobs.devices import (
    Devices,
    Gpu,
    WorkerDevice,
    gpus,
    parse_wish,
    read_gpus,
    read_parts,
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


def test_a_gpu_from_before_bf16_is_told_by_its_generation() -> None:
    told = "0, GPU-a, Tesla T4, 15360, 15000, 7.5\n1, GPU-b, NVIDIA H200, 143771, 100, 9.0\n2, GPU-c, Old, 1, 1, [N/A]\n"
    found = read_gpus(told)
    assert [one.capability for one in found] == [(7, 5), (9, 0), None]
    # Of one that does not tell it is taken for granted, as of any GPU of these days.
    assert [one.has_bf16 for one in found] == [False, True, True]


LISTED = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa1111-0000)
  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 1g.5gb+me   Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-9999)
  MIG 7g.40gb     Device  0: (UUID: MIG-0000)
"""


def test_a_part_of_a_gpu_is_a_device_where_the_environment_names_it() -> None:
    whole = read_gpus(TOLD)
    parts = read_parts(LISTED, whole)
    # Of a GPU that the driver does not tell of otherwise nothing is known.
    assert [(one.title, one.memory) for one in parts] == [
        ("NVIDIA H200 MIG 3g.20gb", 20 * 2**30),
        ("NVIDIA H200 MIG 1g.5gb+me", 5 * 2**30),
    ]
    both = [*whole, *parts]
    (named,) = visible_gpus(both, "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb")
    assert named.memory == 5 * 2**30
    assert visible_gpus(both, "0") == [whole[0]]


@pytest.mark.parametrize(("old_driver", "one_is_lost"), [(False, False), (True, False), (False, True)])
def test_the_driver_is_asked_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old_driver: bool, one_is_lost: bool
) -> None:
    """An old driver answers nothing where one field of the question is new to it; where one GPU is lost it fails, and tells the rest."""
    answer = "0, GPU-a, Tesla T4, 15360, 15000"
    refuses = 'case "$1" in *compute_cap*) echo "Field is not a valid field to query."; exit 2;; esac\n'
    rest = "echo 'Unable to determine the device handle for GPU1: GPU is lost.'; exit 15\n"
    script = f"#!/bin/sh\n{refuses if old_driver else ''}echo '{answer}{'' if old_driver else ', 7.5'}'\n{rest if one_is_lost else ''}"
    (tool := tmp_path / "nvidia-smi").write_text(script)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("app.jobs.devices._torch_is_for_cpus", lambda: False)
    (found,) = gpus()
    assert (found.uuid, found.capability) == ("GPU-a", None if old_driver else (7, 5))


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
