"""The highest memory of what this process starts, children and theirs included."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import psutil

# Reading a process's share of its pages walks all of them, which takes a hundredth of a second for some gigabytes.
_SECONDS_BETWEEN: Final = 0.5
# Shared pages are divided among those who share them, so that a sum over processes counts none twice. Only Linux tells it.
MEASURE: Final = "PSS" if psutil.LINUX else "USS"


@dataclass
class Peak:
    """`bytes` of all processes together at the worst moment that was looked at; `processes` at that moment."""

    bytes: int = 0
    processes: int = 0


@contextmanager
def peak_of_children() -> Iterator[Peak]:
    """Within the block, of every process that is started in it."""
    here = psutil.Process()
    before, peak, ended = set(here.children(recursive=True)), Peak(), threading.Event()

    def look() -> None:
        while not ended.wait(_SECONDS_BETWEEN):
            found = [_share(child) for child in here.children(recursive=True) if child not in before]
            alive = [share for share in found if share]
            if sum(alive) > peak.bytes:
                peak.bytes, peak.processes = sum(alive), len(alive)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield peak
    finally:
        ended.set()
        looking.join(60)


def _share(process: psutil.Process) -> int:
    """Bytes; 0 for one that is gone."""
    try:
        found = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(found, MEASURE.lower()))
