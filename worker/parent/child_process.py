"""A job's child process as its parent sees it: what it says is gathered while its parent does other things."""

import os
import queue
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.files import python_path
from app.line_process import LineProcess

_END: Final[dict[str, Any]] = {"event": "__end__"}
_LAST_WORDS_SECONDS: Final = 2.0
END_SECONDS: Final = 30.0


@dataclass
class ChildProcess:
    """`python -m worker.work.child JOB.json`. Its stdin is its lifeline: closed means exit. `surroundings` are variables of
    its environment that are not the worker's.
    """

    job_file: Path
    log_file: Path
    surroundings: dict[str, str] = field(default_factory=dict)
    _process: LineProcess = field(init=False)
    _messages: "queue.Queue[dict[str, Any]]" = field(init=False, default_factory=queue.Queue)
    ended: bool = field(init=False, default=False)

    def start(self) -> None:
        """Start it; events begin to arrive."""
        environment = {
            **os.environ,
            "PYTHONPATH": python_path(),
            "PYTHONUNBUFFERED": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            **self.surroundings,
        }
        command = (sys.executable, "-m", "worker.work.child", str(self.job_file))
        with self.log_file.open("ab") as log:
            self._process = LineProcess(
                command, environment=environment, folder=self.job_file.parent, log=log
            )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def _read(self, process: LineProcess) -> None:
        for message in process.messages():
            if "event" in message:
                self._messages.put(message)
        self._messages.put(_END)

    @property
    def process_id(self) -> int:
        """Of the started process."""
        return self._process.pid

    def messages(self, wait_seconds: float) -> list[dict[str, Any]]:
        """What arrives within the time; sets `ended`, and waits no longer, at the end of the stream."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + wait_seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self._messages.get(timeout=left)
            except queue.Empty:
                # What a child that has ended left behind would hold the stream open; asking ends that.
                _ = self._process.is_running
                break
            if message is _END:
                self.ended = True
                break
            found.append(message)
        return found

    def last_messages(self) -> list[dict[str, Any]]:
        """What a child that has ended said before."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        while not self.ended and time.monotonic() < deadline:
            found += self.messages(0.1)
        return found

    def send(self, command: dict[str, Any]) -> None:
        """One line on its stdin. A child that is gone already, or hangs, does not mind."""
        with suppress(TimeoutError):
            self._process.send(command)

    def terminate(self, grace_seconds: float) -> None:
        """SIGTERM to its whole session, then SIGKILL after the grace time."""
        self._process.terminate(grace_seconds)

    def exit_code(self) -> int:
        """Its exit code once the stream has ended; negative is the signal that killed it."""
        code = self._process.wait(END_SECONDS)
        return self._process.kill() if code is None else code

    def close(self) -> None:
        """Leave nothing behind."""
        self._process.close()
