"""Which of several processes does not come to where the others wait for it, and whether it computes or stands still.

No time limit tells the two apart: the share of a step may take hours. So each process counts its meetings with the others where
the first one sees it, and the first one looks at the processor time of those that are missing. One that computes is waited for;
one whose threads have all but stood still for ten minutes (stopped, in a lock, at a disk that does not answer) hangs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from worker.effort import LIFE, effort

# Below the group's folder.
MEETINGS: Final = "meetings"


class Meetings:
    """How often each process of a group came to meet the others: shared numbers in a file, each written by its own process alone."""

    def __init__(self, folder: Path, rank: int, size: int) -> None:
        self._rank = rank
        place = folder / MEETINGS
        if rank == 0:
            np.zeros(size, np.int64).tofile(place)
        self._counts = np.memmap(place, np.int64, "r+", shape=(size,))

    def come(self) -> None:
        """To the next meeting; told before it is waited for."""
        self._counts[self._rank] += 1

    def missing(self) -> list[int]:
        """Ranks that have not come to where this process is."""
        return [int(rank) for rank in np.flatnonzero(self._counts < self._counts[self._rank])]


@dataclass
class Patience:
    """Of one meeting: how long the processes that are missing have shown no sign of life, in seconds of looking.

    Seconds that are looked for are counted, not those of a clock: a machine that was asleep, or a container that was frozen, accuses
    nobody when it goes on.
    """

    effort: Callable[[int], Mapping[int, int]] = effort
    waited: float = 0.0
    _still: dict[int, float] = field(default_factory=dict)
    _seen: dict[int, Mapping[int, int]] = field(default_factory=dict)

    def look(self, missing: Mapping[int, int], seconds: float) -> None:
        """After so many further seconds; `missing` holds process numbers by rank."""
        self.waited += seconds
        for rank, pid in missing.items():
            now = self.effort(pid)
            before = self._seen.setdefault(rank, now)
            if any(spent - before.get(thread, 0) >= LIFE for thread, spent in now.items()):
                self._seen[rank], self._still[rank] = now, 0.0
            else:
                self._still[rank] = self._still.get(rank, 0.0) + seconds

    def still_for(self, ranks: Sequence[int], seconds: float) -> int | None:
        """The first of these ranks that has stood still for so long."""
        return next((rank for rank in ranks if self._still.get(rank, 0.0) >= seconds), None)
