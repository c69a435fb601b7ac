"""Whether the processes of a job still do anything. No limit of time tells that, as a step, a save or a load may take hours.

Its child, what the child has started and what that has started are looked at together. One sign of life of any thread is enough:
processor time, or waiting for a processor on a busy machine; pages read, bytes read or written, as a download that reaches a file
does; waiting for a disk, however slow; and being held by a person (SIGSTOP) or a debugger, who knows of it. What is left is a lock
that nobody opens, a pipe or connection on which nobody speaks: of that nothing comes any more.
"""

import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from app.jobs.models import JobKind
from worker.effort import ASKS_WHERE, LIFE, OF_THREAD, PROCESSES, TO_TELL_SECONDS, numbers_in, threads_of

# Longer than the processes of one run give each other, for who of them hangs says more.
STILL_SECONDS: Final = 900.0
LOOK_SECONDS: Final = 10.0
# What speaks with a hub may wait for it, and has limits of its own for that; a chat has them too.
WATCHED: Final = frozenset(JobKind) - {JobKind.PREPARE_BASE_MODEL, JobKind.PUSH, JobKind.CHAT}
# A wait for a disk, a stop, a debugger's stop.
_EXCUSED: Final = ("D", "T", "t")
# A process has beside what OF_THREAD counts the same of its children that have ended.
_OF_CHILDREN: Final = (10, 13, 14)
# So much read or written counts as a hundredth of a second of work.
_BYTES: Final = 2**16
_NANOSECONDS: Final = 10**7


@dataclass
class Watch:
    """Of a job's child process `pid` with all that it started. Seconds of looking are counted, not those of a clock: a machine that was
    asleep, or a worker that was stopped with its children, accuses nobody when it goes on.
    """

    pid: int
    still: float = 0.0
    _seen: Counter[tuple[int, str]] = field(default_factory=Counter)
    _family: set[psutil.Process] = field(default_factory=set)
    _looked: float = field(default_factory=time.monotonic)

    def is_due(self) -> bool:
        """Whether it is time for another look."""
        return time.monotonic() - self._looked >= LOOK_SECONDS

    def hangs(self) -> bool:
        """After LOOK_SECONDS more: whether there was no sign of life for STILL_SECONDS. Never where the system tells nothing."""
        self._looked = time.monotonic()
        self._family = family(self.pid, self._family)
        now: Counter[tuple[int, str]] = Counter()
        excused = False
        for process in self._family:
            signs, waits = signs_of(process.pid)
            now.update({(process.pid, name): count for name, count in signs.items()})
            excused = excused or waits
        lives = excused or not now or any(count - self._seen[one] >= LIFE for one, count in now.items())
        if lives or not self._seen:
            self._seen, self.still = now, 0.0
        else:
            self.still += LOOK_SECONDS
        return self.still >= STILL_SECONDS

    def ask_where(self) -> None:
        """Let each process that knows how to write down where it stands, for the job's log."""
        for process in self._family:
            if _listens(process.pid):
                with suppress(OSError):
                    os.kill(process.pid, ASKS_WHERE)
        time.sleep(TO_TELL_SECONDS)

    def end(self) -> None:
        """Nothing of the family is left: what hangs may not hear that its line was cut, and some have sessions of their own."""
        for process in family(self.pid, self._family):
            with suppress(psutil.Error):
                process.kill()


def family(pid: int, known: set[psutil.Process]) -> set[psutil.Process]:
    """The process, those that it started, and what is left of the `known` ones whose parents have ended."""
    found: set[psutil.Process] = set()
    with suppress(psutil.Error):
        found.add(psutil.Process(pid))
    found |= {one for one in known if one.is_running()}
    for one in list(found):
        with suppress(psutil.Error):
            found.update(one.children(recursive=True))
    return found


def signs_of(pid: int, processes: Path = PROCESSES) -> tuple[dict[str, int], bool]:
    """What each thread of a process has done so far and what the process has read and written, in hundredths of a second or as good as
    that; and whether one of them is held by a disk or a person just now."""
    signs: dict[str, int] = {}
    excused = False
    for place in threads_of(pid, processes):
        # One that ends meanwhile.
        with suppress(OSError):
            fields = numbers_in(place / "stat")
            signs[place.name] = sum(int(fields[at]) for at in OF_THREAD) + _waited(place)
            excused = excused or fields[0] in _EXCUSED
    own = processes / str(pid)
    with suppress(OSError):
        fields = numbers_in(own / "stat")
        signs["children"] = sum(int(fields[at]) for at in _OF_CHILDREN)
    with suppress(OSError):
        lines = dict(line.split(": ") for line in (own / "io").read_text("ascii").splitlines())
        signs["bytes"] = (int(lines["rchar"]) + int(lines["wchar"])) // _BYTES
    return signs, excused


def _waited(thread: Path) -> int:
    """For a processor, on one that was busy with others, where the system counts that."""
    with suppress(OSError, IndexError):
        return int((thread / "schedstat").read_text("ascii").split()[1]) // _NANOSECONDS
    return 0


def _listens(pid: int) -> bool:
    """Whether it catches the signal, which would end it otherwise."""
    with suppress(OSError, StopIteration):
        lines = (PROCESSES / str(pid) / "status").read_text("ascii", "replace").splitlines()
        caught = next(line.split()[1] for line in lines if line.startswith("SigCgt:"))
        return bool(int(caught, 16) >> (ASKS_WHERE - 1) & 1)
    return False
