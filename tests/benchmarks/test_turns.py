"""Trainings that take turns: whoever's turn it is not stands still."""

import subprocess
import sys
from collections.abc import Callable

import psutil
import pytest

from tests.benchmarks.turns import TakesTurns
from tests.interop.material import Trained
from tests.support.patience import HANGING_SECONDS
from tests.support.processes import runs
from tests.support.workers import wait_until

# A training of one token a step; its work is done by a process of its own, as launchers have it.
WORKER = "import time\nwhile True: print(flush=True); time.sleep(0.05)"
LAUNCHER = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


class Training:
    """`process` is the launcher, once there is one."""

    process: psutil.Popen | None = None

    def __call__(self, after_step: Callable[[Trained], None]) -> None:
        told = Trained()
        with psutil.Popen(
            [sys.executable, "-c", LAUNCHER, WORKER], stdout=subprocess.PIPE, text=True
        ) as self.process:
            for _line in self.process.stdout:
                told.batches.append([([1], [1])])
                told.seconds.append(0.0)
                after_step(told)
        raise RuntimeError("killed")

    def wait_until_it_stands_still(self) -> None:
        wait_until(
            lambda: not self.process or self.states(self.process) == {psutil.STATUS_STOPPED},
            timeout_seconds=HANGING_SECONDS,
            what="all of them standing still",
        )

    @staticmethod
    def states(process: psutil.Popen) -> set[str]:
        return {one.status() for one in (process, *process.children(recursive=True))}


def test_whoever_has_no_turn_stands_still_with_all_its_processes() -> None:
    trainings = Training(), Training()
    with TakesTurns(trainings[0]) as first, TakesTurns(trainings[1]) as second:
        for turns in (first, second, first, second):
            turn = turns.turn(3)
            assert (turn.steps, turn.tokens, turn.seconds > 0) == (3, 3, True)
            for one in trainings:
                one.wait_until_it_stands_still()
        assert not set(first._own) & set(second._own), "nobody wakes another's"
    assert not any(one.process and runs(one.process) for one in trainings), "nothing of them is left"


def test_what_ends_a_training_is_raised_where_its_steps_are_waited_for() -> None:
    def ends(_after_step: Callable[[Trained], None]) -> None:
        raise ValueError("no such model")

    with TakesTurns(ends) as turns, pytest.raises(ValueError, match="no such model"):
        turns.turn(1)
    with TakesTurns(lambda _after_step: None) as turns, pytest.raises(RuntimeError, match="ended before"):
        turns.turn(1)
