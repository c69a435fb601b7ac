"""What this machine's processor has for work, told without loading torch: memory within the limits of container and process,
cores, units for bf16."""

import os
import resource
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import psutil

_CGROUP_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# Units for products in bf16: with them a CPU is quicker in bf16 than in fp32.
_BF16_FLAGS: Final = frozenset({"amx_bf16", "avx512_bf16", "bf16"})


@dataclass(frozen=True)
class Processor:
    """`memory` and what is `free` of it now in bytes; `cores` that a process here may use."""

    memory: int
    free: int
    cores: int
    has_bf16: bool


def this_processor() -> Processor:
    """As it is now."""
    found = psutil.virtual_memory()
    total = min([found.total, *_container_limits(), *_own_limits()])
    # What others hold of a limited container is not told apart from its own.
    return Processor(total, min(found.available, total), len(os.sched_getaffinity(0)), _has_bf16())


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


def _own_limits() -> list[int]:
    """What this process, and so what it starts, may address (ulimit -v)."""
    soft = [resource.getrlimit(one)[0] for one in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return [limit for limit in soft if limit != resource.RLIM_INFINITY]


@cache
def _has_bf16() -> bool:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return False
    lines = (line for line in text.splitlines() if line.lower().startswith(("flags", "features")))
    return bool(_BF16_FLAGS & set(next(lines, "").split()))
