"""A process that computes is told from one that stands still by what its threads do."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.patience import HANGING_SECONDS
from tests.support.workers import wait_until
from worker.effort import effort
from worker.work.training import meetings
from worker.work.training.meetings import Meetings, Patience

# In a second thread, as the lanes of a run do; the first one waits for it.
COMPUTES = """
import threading
print("begun", flush=True)
def work():
    while True: sum(range(10**5))
threading.Thread(target=work).start()
"""
# Wakes up a hundred times a second, as what looks after connections does.
WAITS = "import time\nprint('begun', flush=True)\nwhile True: time.sleep(0.01)"


@contextmanager
def running(code: str) -> Iterator[int]:
    """Its number, once the start of Python is behind it, which is work too."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            yield process.pid
        finally:
            process.kill()


# A second of the processor's time in place of six.
LIFE = 100


@pytest.fixture(autouse=True)
def _shorter_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meetings, "LIFE", LIFE)


def test_whoever_computes_shows_life_in_whichever_thread_and_whoever_waits_does_not() -> None:
    with running(COMPUTES) as busy, running(WAITS) as idle:
        patience = Patience()
        patience.look({1: busy, 2: idle}, 0)
        before = {pid: effort(pid) for pid in (busy, idle)}

        def has_worked() -> bool:
            return any(spent - before[busy].get(thread, 0) >= LIFE for thread, spent in effort(busy).items())

        wait_until(has_worked, timeout_seconds=HANGING_SECONDS, what="so much work")
        patience.look({1: busy, 2: idle}, 10)
        assert patience.still_for([1, 2], 10) == 2
        assert patience.still_for([1], 10) is None
        assert patience.waited == 10


def test_life_begins_the_count_anew() -> None:
    spent = {1: 0}
    with_effort = Patience(effort=lambda _pid: dict(spent))
    for seconds in (4, 4):
        with_effort.look({1: 7}, seconds)
    assert with_effort.still_for([1], 8) == 1
    spent[1] += LIFE - 1
    with_effort.look({1: 7}, 1)
    assert with_effort.still_for([1], 9) == 1
    spent[1] += 1
    with_effort.look({1: 7}, 1)
    assert with_effort.still_for([1], 1) is None


def test_a_process_that_is_gone_does_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(60)
    assert effort(process.pid) == {}


def test_who_has_not_come_to_a_meeting_is_known_by_its_number(tmp_path: Path) -> None:
    first = Meetings(tmp_path, 0, 3)
    second, third = (Meetings(tmp_path, rank, 3) for rank in (1, 2))
    for one in (first, second, first, third):
        one.come()
    assert first.missing() == [1, 2]
    second.come()
    assert first.missing() == [2]
    third.come()
    assert first.missing() == []
