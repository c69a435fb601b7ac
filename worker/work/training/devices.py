"""What this machine trains on: device, precision, memory figures and the allocator's settings.

It decides nothing about the training itself. One process, one device.
"""

import ctypes
import os
import resource
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

import psutil
import torch

from app.jobs.devices import VISIBLE
from app.jobs.events import Emit, MachineLoad
from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed, log
from worker.work.training.nvml import Nvml
from worker.work.training.repeating import repeat_exactly

# glibc's mallopt parameters (malloc.h). With the defaults every large tensor is mapped from and returned to
# the kernel, and touching its pages anew takes a tenth of a training step.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEEP_UP_TO_BYTES = 1 << 30
# How long each precision is measured, and how many products are timed together.
MEASURED_SECONDS = 0.25
PRODUCTS = 4
# Rows of the product that is timed, and its width: small enough to end at once on a processor that emulates bf16 a
# thousand times more slowly, and on a GPU so large that what is timed is the product and not the call.
ROWS_AND_WIDTH = {"cpu": (64, 512), "cuda": (2048, 4096)}


# Of devices that torch may have and the studio was never tried on, by what torch calls them.
_UNTRIED: Final = {"rocm": "AMD ROCm", "mps": "Apple MPS", "xpu": "Intel XPU"}
_LEFT_ALONE: Final = N_(
    "torch has a device of another maker here (%(kinds)s), which the studio was never tried on: this run is trained on the processor."
)
_NOT_TO_BE_HAD: Final = N_(
    "This job was given the GPU %(gpu)s, and torch cannot use it (%(reason)s). Update the driver, or install the build of torch for "
    "the driver that there is; until then start with device cpu."
)


def training_device() -> torch.device:
    """The GPU that this process was given, else the processor. Raises JobFailed where that GPU cannot be used: a run that was to be
    trained on it would take days.
    """
    if torch.version.hip is None and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    # Workers name a GPU by its own identity; a number may be left from anywhere.
    given = os.environ.get(VISIBLE, "")
    if given.startswith(("GPU-", "MIG-")):
        raise JobFailed(FailureCode.DEVICE_FAILED, _NOT_TO_BE_HAD, gpu=given, reason=_why_no_gpu())
    return torch.device("cpu")


def _why_no_gpu() -> str:
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 - torch tells it by several kinds of error
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return "torch.cuda.is_available() is False"


def untried_devices() -> list[str]:
    """Names of devices that torch could use here, and the studio does not."""
    there = {
        "rocm": torch.version.hip is not None and torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "xpu": torch.xpu.is_available(),
    }
    return [_UNTRIED[name] for name, is_there in there.items() if is_there]


def tell_left_alone(device: torch.device, emit: Emit) -> None:
    """Say so where the processor trains though torch has something else."""
    if device.type == "cpu" and (kinds := untried_devices()):
        log(emit, "info", _LEFT_ALONE, kinds=", ".join(kinds))


@cache
def is_good_at_bf16(device: torch.device) -> bool:
    """Whether matrix products are at least as quick in bf16 as in fp32, measured on the device in half a second at most.

    What a processor says it can do is not what it is quick at: libraries emulate bf16 where a kernel is missing, and
    are told to leave out what a processor has.
    """
    threads = torch.get_num_threads()
    # Beside other processes two threads wait for each other, and that says nothing of the precision.
    torch.set_num_threads(1)
    try:
        slow = _product_seconds(device, torch.float32)
        return _product_seconds(device, torch.bfloat16, enough=slow) <= slow
    finally:
        torch.set_num_threads(threads)


def _product_seconds(device: torch.device, dtype: torch.dtype, enough: float = 0.0) -> float:
    """The least time that a product takes, in seconds; no less is looked for than `enough`."""
    height, width = ROWS_AND_WIDTH[device.type]
    rows, weight = (torch.ones(size, width, dtype=dtype, device=device) for size in (height, width))
    best, began = float("inf"), time.perf_counter()
    while best > enough and time.perf_counter() - began < MEASURED_SECONDS:
        started = time.perf_counter()
        for _ in range(PRODUCTS):
            torch.nn.functional.linear(rows, weight)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, (time.perf_counter() - started) / PRODUCTS)
    return best


def weights_dtype(device: torch.device, bf16: bool | None) -> torch.dtype:
    """The precision of the frozen weights and of activations; None for `bf16` lets the device decide."""
    wanted = is_good_at_bf16(device) if bf16 is None else bf16
    return torch.bfloat16 if wanted else torch.float32


def keep_freed_memory() -> bool:
    """Let glibc keep freed tensors' memory for the next step; False where there is no glibc."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    kept = mallopt(M_MMAP_THRESHOLD, KEEP_UP_TO_BYTES)
    return bool(kept and mallopt(M_TRIM_THRESHOLD, 2 * KEEP_UP_TO_BYTES - 1))


def give_back_freed_memory() -> bool:
    """Return to the kernel, and to a GPU, what was freed so far; False where there is no glibc.

    Threads that are started later allocate from arenas of their own and could not use it.
    """
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL("libc.so.6").malloc_trim(0))
    except (OSError, AttributeError):
        return False


def round_denormals_to_zero() -> bool:
    """Let numbers below 1e-38 be zero: a CPU multiplies them a hundred times more slowly. False where it cannot.

    Threads that are started later inherit it. Softmax makes such numbers for whatever a token does not look at.
    """
    return bool(torch.set_flush_denormal(True))


def begin_here(emit: Emit) -> torch.device:
    """The device that this process trains on, with all that has to be set before anything is computed."""
    keep_freed_memory()
    round_denormals_to_zero()
    device = training_device()
    repeat_exactly(device)
    tell_left_alone(device, emit)
    return device


def memory_bytes(device: torch.device) -> int:
    """Memory in use now: the device's own on a GPU, the process's resident set on a CPU."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return int(psutil.Process().memory_info().rss)


def machine_load(device: torch.device) -> MachineLoad:
    """Memory and utilisation now; that of the processors is since the last call. The device's are None without a GPU."""
    memory = psutil.virtual_memory()
    load: MachineLoad = {
        "host_memory_bytes": int(memory.total - memory.available),
        "host_memory_total_bytes": int(memory.total),
        "cpu_utilization": psutil.cpu_percent(interval=None),
        "device_memory_bytes": None,
        "device_memory_total_bytes": None,
        "device_utilization": None,
    }
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        load["device_memory_bytes"], load["device_memory_total_bytes"] = total - free, total
        load["device_utilization"] = _device_utilization(device)
    return load


def _device_utilization(device: torch.device) -> float | None:
    """Percent of the last moment in which the GPU computed; None where the driver does not tell."""
    return _nvml_of(f"GPU-{torch.cuda.get_device_properties(device).uuid}").utilization()


@cache
def _nvml_of(uuid: str) -> Nvml:
    return Nvml(uuid)


def peak_memory_bytes(device: torch.device) -> int:
    """The device's own on a GPU, the largest resident set of this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    # What getrusage says a process inherits from the one that started it, which may have been larger.
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
