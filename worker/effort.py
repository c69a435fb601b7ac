"""What a process has done so far, as the system counts it: one that computes is told from one that stands still by nothing else."""

import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

# Hundredths of a second of processor time, and pages read from a disk: of one thread, for those that only look after connections
# wake up all the time and have a fifth of it in ten minutes.
LIFE: Final = 600
# Our processes, and those of a tool that is written in Python, write where each of their threads stands to standard error for it.
ASKS_WHERE: Final = signal.SIGUSR1
# So long they are given to do that.
TO_TELL_SECONDS: Final = 2.0
PROCESSES: Final = Path("/proc")
# /proc/PID/task/TID/stat after the program's name: major faults, user time, system time.
OF_THREAD: Final = (9, 11, 12)


def effort(pid: int) -> dict[int, int]:
    """What each thread of a process has done so far, by its number; nothing where the system does not tell."""
    found: dict[int, int] = {}
    for place in threads_of(pid):
        # One that ends meanwhile.
        with suppress(OSError):
            fields = numbers_in(place / "stat")
            found[int(place.name)] = sum(int(fields[at]) for at in OF_THREAD)
    return found


def threads_of(pid: int, processes: Path = PROCESSES) -> list[Path]:
    """Where the system tells of each."""
    return list((processes / str(pid) / "task").glob("*"))


def numbers_in(stat: Path) -> list[str]:
    """Fields after the program's name, which may hold anything; the first is the state. Raises OSError."""
    return stat.read_text("ascii", "replace").rpartition(")")[2].split()
