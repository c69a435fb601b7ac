"""What this machine has for training, told without loading torch, for estimates before a start.

Where workers run on other machines than the web server, their memory is not known here, and the estimate is held against
this machine's.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Final

import psutil
from fastapi import Depends

from app.jobs.devices import gpus

_CGROUP_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# Units for products in bf16: with them a CPU is quicker in bf16 than in fp32.
_BF16_FLAGS: Final = frozenset({"amx_bf16", "avx512_bf16", "bf16"})


@dataclass(frozen=True)
class Device:
    """`memory` and what is `free` of it in bytes; `cores` of a CPU that training may use, 0 on a GPU, which has a `processor`
    beside it.
    """

    name: str
    memory: int
    free: int
    cores: int
    has_bf16: bool
    processor: "Device | None" = None


def this_device() -> Device:
    """The GPU where there is one and the installed torch can use it, else the processor."""
    return _gpu() or _processor()


def _processor() -> Device:
    found = psutil.virtual_memory()
    total = min([found.total, *_container_limits()])
    # What others hold of a limited container is not told apart from its own.
    free = min(found.available, total)
    return Device("CPU", total, free, len(os.sched_getaffinity(0)), _cpu_has_bf16())


def _container_limits() -> list[int]:
    limits = []
    for name in _CGROUP_LIMITS:
        try:
            text = Path(name).read_text("ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            limits.append(int(text))
    return limits


@cache
def _cpu_has_bf16() -> bool:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return False
    lines = (line for line in text.splitlines() if line.lower().startswith(("flags", "features")))
    return bool(_BF16_FLAGS & set(next(lines, "").split()))


def _gpu() -> Device | None:
    """The first one, on which a run is begun where it may run anywhere."""
    first = next(iter(gpus()), None)
    if first is None:
        return None
    return Device(first.title, first.memory, first.free, 0, first.has_bf16, _processor())


# Asked before a handler takes a connection.
ThisDevice = Annotated[Device, Depends(this_device)]
