"""Work that a job does in the worker's own process, as its attempt sees it: told of, stopped, and never without a lease."""

import threading
import time
from dataclasses import dataclass, field

from app.jobs.events import EventKind, Phase
from app.jobs.handlers import HandedBack, Stopped
from app.jobs.models import StopRequest
from worker.parent.attempt import Attempt


@dataclass
class Going:
    """As `app.jobs.handlers.Going`."""

    attempt: Attempt
    shutdown: threading.Event
    every_seconds: float
    _last: float = field(default_factory=time.monotonic)

    def phase(self, phase: Phase) -> None:
        """Told at once."""
        self.attempt.tell(EventKind.PHASE, {"phase": phase})
        self._beat()

    def at(self, done: int, total: int) -> None:
        """Told now and then."""
        if self.shutdown.is_set():
            raise HandedBack
        if done == total or self._is_time():
            self.attempt.tell(EventKind.PROGRESS, {"step": done, "total_steps": total})
            if self._beat() is StopRequest.CANCEL:
                raise Stopped

    def keep(self) -> None:
        """Renewed now and then."""
        if self._is_time():
            self._beat()

    def _is_time(self) -> bool:
        return time.monotonic() - self._last >= self.every_seconds

    def _beat(self) -> StopRequest | None:
        self._last = time.monotonic()
        return self.attempt.beat()
