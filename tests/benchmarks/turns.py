"""Trainings that take turns: each works for a few steps while the others stand still.

A machine that grows slower for a minute slows both neighbours then, and their ratio stays what it is.
"""

import queue
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import psutil

from tests.interop.material import Trained

# The first step of a turn holds the time of standing still, and finds nothing of its own in the caches.
_NOT_COUNTED: Final = 1


@dataclass(frozen=True)
class Turn:
    """What was worked through, in how many seconds."""

    steps: int
    tokens: int
    seconds: float

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds


@dataclass(frozen=True)
class _Step:
    ended: float
    tokens: int


class TakesTurns:
    """A training in a thread of its own, whose processes stand still but for the steps that are asked of it.

    `train` is to call what it is given after each step, with all that was told until then. As a context: its processes are
    killed at the end, wherever they are.
    """

    def __init__(self, train: Callable[[Callable[[Trained], None]], object]) -> None:
        self._train = train
        self._others: set[psutil.Process] = set()
        self._own: list[psutil.Process] = []
        self._steps: queue.Queue[_Step | BaseException] = queue.Queue()
        self._taken = self._until = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        if self._thread.ident is not None:
            self._send(signal.SIGKILL)
            self._thread.join(60)

    def turn(self, steps: int) -> Turn:
        """So many steps, and one before them that is not counted. Raises whatever ended the training before."""
        wanted = steps + _NOT_COUNTED
        self._until = self._taken + wanted
        if self._thread.ident is None:
            # Now, when whoever had a turn before has begun: its processes are not to be woken with this one's.
            self._others = set(psutil.Process().children())
            self._thread.start()
        else:
            while not self._steps.empty():  # told while its processes were being stopped
                self._next()
            self._send(signal.SIGCONT)
        told = [self._next() for _ in range(wanted)]
        counted = told[_NOT_COUNTED:]
        return Turn(
            steps, sum(step.tokens for step in counted), told[-1].ended - told[_NOT_COUNTED - 1].ended
        )

    def _next(self) -> _Step:
        told = self._steps.get()
        if isinstance(told, BaseException):
            raise told
        return told

    def _work(self) -> None:
        try:
            self._train(self._after_step)
        except BaseException as error:  # noqa: BLE001 - it is raised where the steps are waited for
            self._steps.put(error)
        else:
            self._steps.put(RuntimeError("the training ended before its turns did"))

    def _after_step(self, trained: Trained) -> None:
        step = _Step(time.perf_counter(), trained.tokens_in(len(trained.seconds) - 1))
        self._taken += 1
        if self._taken >= self._until:
            self._send(signal.SIGSTOP)
        self._steps.put(step)

    def _send(self, number: signal.Signals) -> None:
        """To every process of this training. Which they are is seen when it stands still first: whatever else is started
        comes later."""
        self._own = self._own or [child for child in psutil.Process().children() if child not in self._others]
        for child in self._own:
            for process in (child, *_below(child)):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)


def _below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
