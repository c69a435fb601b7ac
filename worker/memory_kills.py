"""Whether the system has killed processes for want of memory: what the kernel counts, read before a process and after it.

A killed process leaves no word of its own. Whatever ends it for another reason than the kernel (a person, a container's runtime, a
watchdog in user space) is not counted.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

# All of the machine, and this container alone.
_COUNTED_IN: Final = ("/proc/vmstat", "/sys/fs/cgroup/memory.events")
_COUNTER: Final = "oom_kill"


@dataclass(frozen=True)
class MemoryKills:
    """How many there were, by the file that counts them; none where the system tells nothing."""

    counts: dict[str, int]

    @classmethod
    def now(cls) -> Self:
        """As it stands."""
        return cls({name: count for name in _COUNTED_IN if (count := _count(name)) is not None})

    def one_came(self) -> bool | None:
        """Whether a process was killed for memory since; None where nothing counts them."""
        later = MemoryKills.now().counts
        told = [later[name] > count for name, count in self.counts.items() if name in later]
        return any(told) if told else None


def _count(name: str) -> int | None:
    try:
        lines = Path(name).read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    pairs = (line.split() for line in lines)
    return next((int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == _COUNTER), None)
