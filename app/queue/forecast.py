"""When waiting jobs will begin and end: they take the room that gets free first, in their order. Pure; seconds from now."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.jobs.devices import ANY, CPU, CUDA


@dataclass
class Room:
    """Room for one job at a time. `device` is empty where none is needed; `free_in` None: nobody knows.

    `beside_gpu`: a processor whose machine has a GPU, which jobs that may run anywhere leave alone.
    """

    free_in: float | None
    device: str = ""
    beside_gpu: bool = False

    def takes(self, wish: str) -> bool:
        """Whether a job with this wish may run here."""
        if not self.device:
            return True
        if wish == ANY:
            return not self.beside_gpu
        if wish == CUDA:
            return self.device != CPU
        return wish == self.device


@dataclass(frozen=True)
class Ask:
    """A waiting job: where it may run, and how many seconds it takes; None: nobody knows."""

    wish: str
    seconds: float | None


@dataclass(frozen=True)
class Expected:
    """Seconds from now; None is unknown. `has_room` tells whether any room takes the job at all."""

    begins_in: float | None
    ends_in: float | None
    has_room: bool


def forecast(asks: Sequence[Ask], rooms: Sequence[Room]) -> list[Expected]:
    """For each job in its order. Room of which nobody knows when it gets free is counted on last."""
    left = [Room(room.free_in, room.device, room.beside_gpu) for room in rooms]
    return [_seat(ask, [room for room in left if room.takes(ask.wish)]) for ask in asks]


def _seat(ask: Ask, fitting: list[Room]) -> Expected:
    if not fitting:
        return Expected(None, None, has_room=False)
    room = min(fitting, key=lambda one: float("inf") if one.free_in is None else one.free_in)
    begins = room.free_in
    room.free_in = None if begins is None or ask.seconds is None else begins + ask.seconds
    return Expected(begins, room.free_in, has_room=True)
