"""A child that is spoken to in lines: what it says, how long one waits, and that nothing of it stays."""

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from app.line_process import LineProcess
from tests.support.patience import HANGING_SECONDS
from tests.support.processes import runs

ECHO = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
# Starts one that outlives it and holds its output open, and tells its number.
LEAVES_ONE = """
import subprocess, sys
print('{"pid": %d}' % subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid, flush=True)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"


@contextmanager
def running(code: str, *, keeps_words: bool = False) -> Iterator[LineProcess]:
    process = LineProcess((sys.executable, "-c", code), keeps_words=keeps_words)
    try:
        yield process
    finally:
        process.close()


def becomes(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + HANGING_SECONDS
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_what_is_sent_comes_back_line_by_line_and_other_lines_are_no_messages() -> None:
    with running("print('hello'); print('[1]'); print('{broken')\n" + ECHO) as process:
        told = process.messages()
        for number in range(3):
            assert process.send({"number": number, "text": "价格\n" * 50_000})
            assert next(told)["number"] == number
        assert process.hang_up(60) == 0
        assert list(told) == []
        assert not process.send({})


def test_a_line_has_a_deadline_and_a_longest_length_and_what_was_read_is_kept() -> None:
    with running(
        "import sys, time; print('a' * 70_000, end='', flush=True); sys.stdin.read(); print()"
    ) as process:
        # More than fits into the pipe: what nobody has read when it hangs up would hold it.
        assert becomes(lambda: process.read_line(0.02) is None and len(process._pending) == 70_000)
        assert process.hang_up(60) == 0
        assert process.read_line(60) == b"a" * 70_000 + b"\n"
        assert process.read_line() == b""
    with running("while True: print('a' * 1000, end='')") as process:
        assert process.read_line(60, most_bytes=5000) == b""


def test_what_is_for_people_is_read_to_its_last_word_and_in_pieces_where_no_line_ends() -> None:
    with running("print('first'); print('a' * 10_000 + 'half a', end='')") as process:
        assert process.read_words(4_000) == b"first\n"
        pieces = []
        while piece := process.read_words(4_000):
            pieces.append(piece)
        assert max(map(len, pieces)) <= 4_000
        assert b"".join(pieces) == b"a" * 10_000 + b"half a"


def test_one_that_does_not_read_is_not_waited_for_endlessly() -> None:
    with running(DEAF) as process, pytest.raises(TimeoutError):
        process.send({"text": "a" * 2**20}, seconds=0.2)


def test_one_that_hears_no_signal_is_killed_and_its_code_says_so() -> None:
    with running(DEAF) as process:
        assert process.read_line(60) == b"ready\n"
        assert process.is_running
        assert process.exit_code is None
        assert process.terminate(0.1) == -9
        assert process.exit_code == -9


def test_whatever_it_started_ends_with_it_and_holds_no_reader_up() -> None:
    with running(LEAVES_ONE) as process:
        told = process.messages()
        left_behind = next(told)["pid"]
        # The reader waits for a line: the one that was left behind holds the output open.
        reader = threading.Thread(target=lambda: list(told))
        reader.start()
        assert process.wait(60) == 0
        assert becomes(lambda: not runs(left_behind))
        reader.join(60)
        assert not reader.is_alive()


def test_one_that_is_forgotten_is_ended() -> None:
    process = LineProcess((sys.executable, "-c", ECHO))
    pid = process.pid
    del process
    gc.collect()
    assert not runs(pid)


def test_its_last_words_are_kept_and_too_many_do_not_hold_it_up() -> None:
    with running("raise SystemExit('x' * 9000 + ' no\\n such thing')", keeps_words=True) as process:
        assert process.wait(60) == 1
        assert process.last_words().endswith("xx no such thing")
    flood = "import os, sys\ntry:\n    while True: os.write(2, b'x' * 4096)\nexcept BlockingIOError: print('full', flush=True)"
    with running(flood, keeps_words=True) as process:
        assert process.read_line(60) == b"full\n"


def test_a_program_that_is_not_there_is_an_oserror() -> None:
    with pytest.raises(OSError, match="no/such"):
        LineProcess(("/no/such/program",))
