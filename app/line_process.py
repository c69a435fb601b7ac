"""A child process that is spoken to in JSON, one object a line. Pure: below everything that starts one.

It has a session of its own, so that ending it ends whatever it started, and nothing of it is left behind: not when its
owner forgets it, nor when this process ends. Its standard input is its lifeline: our children end when it is closed.
"""

import json
import os
import selectors
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, Final

# No honest message is longer.
LINE_BYTES: Final = 256 * 2**20
SEND_SECONDS: Final = 30.0
PIECE_BYTES: Final = 2**16
_LONGEST_NAP_SECONDS: Final = 0.05
# Of what it printed, so much is quoted.
_LAST_WORDS: Final = 400


class LineProcess:
    """Started at once; raises OSError where the program cannot be.

    Lines are read by one thread at a time; everything else may be called from any thread.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        log: IO[bytes] | int | None = None,
        keeps_words: bool = False,
    ) -> None:
        """What it prints on standard error goes to `log`, else where this process's goes, and among the lines for
        `subprocess.STDOUT`; with `keeps_words` its first 64 KB are kept for `last_words` and the rest is lost.
        """
        with ExitStack() as stack:
            self._words: IO[bytes] | None = None
            stderr: IO[bytes] | int | None = log
            if keeps_words:
                self._words, stderr = _own_pipe(stack)
            self._process = subprocess.Popen(
                tuple(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment,
                cwd=folder,
                start_new_session=True,
                bufsize=0,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        os.set_blocking(self._input.fileno(), False)
        self._pending = bytearray()
        self._selector = selectors.PollSelector()
        self._selector.register(self._output, selectors.EVENT_READ)
        self._closed = False
        self._reading, self._sending, self._reaping = threading.Lock(), threading.Lock(), threading.Lock()
        weakref.finalize(self, _leave_nothing, self._process, os.getpid())

    @property
    def pid(self) -> int:
        """Of the process, also when it has ended."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.wait(0) is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative is the signal that ended it."""
        return self.wait(0)

    def send(self, message: Mapping[str, Any], seconds: float = SEND_SECONDS) -> bool:
        """One line on its standard input. False when the process is gone. Raises TimeoutError when it does not read."""
        data = memoryview(json.dumps(message).encode() + b"\n")
        deadline = time.monotonic() + seconds
        with self._sending, selectors.PollSelector() as selector:
            if self._input.closed:
                return False
            selector.register(self._input, selectors.EVENT_WRITE)
            while data:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                try:
                    data = data[os.write(self._input.fileno(), data) :]
                except BlockingIOError:
                    continue
                except OSError:
                    return False
        return True

    def read_line(self, seconds: float | None = None, most_bytes: int = LINE_BYTES) -> bytes | None:
        """The next line with its end; b"" when the output ended without one or the line is too long, after which there
        is nothing more to read; None when time ran out, of which there is no end without `seconds`.
        """
        with self._reading:
            try:
                return b"" if self._closed else self._read(seconds, most_bytes)
            finally:
                if self._closed:
                    self._output.close()

    def read_words(self, most_bytes: int) -> bytes:
        """What people are told, to its last word: a line with its end, so much of a longer one, or what stands after the last line
        where the output ended; b"" when there is nothing more.
        """
        line = self.read_line(most_bytes=most_bytes)
        with self._reading:
            return line or self._take(min(len(self._pending), most_bytes))

    def _take(self, size: int) -> bytes:
        taken = bytes(self._pending[:size])
        del self._pending[:size]
        return taken

    def _read(self, seconds: float | None, most_bytes: int) -> bytes | None:
        deadline = None if seconds is None else time.monotonic() + seconds
        searched = 0
        while (end := self._pending.find(b"\n", searched)) < 0:
            searched = len(self._pending)
            if searched > most_bytes:
                return b""
            if not self._selector.select(None if deadline is None else max(0.0, deadline - time.monotonic())):
                return None
            piece = os.read(self._output.fileno(), PIECE_BYTES)
            if not piece:
                return b""
            self._pending += piece
        return self._take(end + 1) if end < most_bytes else b""

    def messages(self) -> Iterator[dict[str, Any]]:
        """Each line that is a JSON object until the output ends; what libraries wrote between them is passed over."""
        while line := self.read_line():
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                yield message

    def last_words(self) -> str:
        """The end of what it printed on standard error until now, where that is kept, as one line."""
        if self._words is None or self._words.closed:
            return ""
        printed = self._words.read(PIECE_BYTES) or b""
        return " ".join(printed.decode(errors="replace").split())[-_LAST_WORDS:]

    def wait(self, seconds: float) -> int | None:
        """Its exit code, once it has ended; None when it still runs after so long. What it left behind is ended too."""
        deadline, nap = time.monotonic() + seconds, 0.0005
        while self._process.returncode is None and not _has_ended(self._process.pid):
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(nap, left))
            nap = min(nap * 2, _LONGEST_NAP_SECONDS)
        return self.kill()

    def hang_up(self, grace_seconds: float) -> int:
        """Close its standard input, and kill it when it does not end for that. Returns the exit code."""
        self._close_input()
        code = self.wait(grace_seconds)
        return self.kill() if code is None else code

    def terminate(self, grace_seconds: float) -> int:
        """SIGTERM to it and whatever it started, SIGKILL after the grace time. Returns the exit code."""
        with self._reaping:
            self._signal(signal.SIGTERM)
        code = self.wait(grace_seconds)
        return self.kill() if code is None else code

    def kill(self) -> int:
        """End it and whatever it started at once, as far as it has not ended. Returns the exit code."""
        with self._reaping:
            self._signal(signal.SIGKILL)
            return self._process.wait()

    def close(self) -> None:
        """Leave nothing behind: neither processes nor pipes."""
        self.kill()
        self._close_input()
        if self._words is not None:
            self._words.close()
        self._closed = True
        # Whoever reads at this moment closes it on leaving.
        if self._reading.acquire(blocking=False):
            self._output.close()
            self._reading.release()

    def _close_input(self) -> None:
        with self._sending, suppress(OSError):
            self._input.close()

    def _signal(self, number: signal.Signals) -> None:
        # Until it is waited for, its number and its session's are nobody else's.
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _own_pipe(stack: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """To read from and to write to; neither waits, so that a pipe which nobody empties holds nobody up. The end to write
    to is closed with the stack: the child has its own.
    """
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    written = stack.enter_context(os.fdopen(ends[1], "wb", buffering=0))
    return os.fdopen(ends[0], "rb", buffering=0), written


def _has_ended(pid: int) -> bool:
    """Without waiting for it: its number stays its own, so that its session can be ended."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _leave_nothing(process: "subprocess.Popen[bytes]", owner: int) -> None:
    """When its owner is gone; a fork of this process is not its owner."""
    if process.returncode is None and os.getpid() == owner:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
