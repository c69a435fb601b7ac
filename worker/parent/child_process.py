"""A job's child process as its parent sees it: started without a shell, read line by line, ended for certain."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from app.core.templating import ROOT

_END: Final[dict[str, Any]] = {"event": "__end__"}
_LAST_WORDS_SECONDS: Final = 2.0


@dataclass
class ChildProcess:
    """`python -m worker.work.child JOB.json` in its own session. Its stdin is its lifeline: closed means exit."""

    job_file: Path
    log_file: Path
    _process: subprocess.Popen[bytes] = field(init=False)
    _messages: "queue.Queue[dict[str, Any]]" = field(init=False, default_factory=queue.Queue)
    ended: bool = field(init=False, default=False)

    def start(self) -> None:
        """Start it; events begin to arrive."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker.work.child", str(self.job_file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env=environment,
                cwd=self.job_file.parent,
            )
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            try:
                message = json.loads(line)
            except ValueError:
                continue  # a library that wrote past the redirect; the log has it
            if isinstance(message, dict) and "event" in message:
                self._messages.put(message)
        self._messages.put(_END)

    @property
    def process_id(self) -> int:
        """Of the started process."""
        return self._process.pid

    def messages(self, wait_seconds: float) -> list[dict[str, Any]]:
        """What arrived within the time, at once when something is there; sets `ended` at end of stream."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + wait_seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self._messages.get(timeout=left)
            except queue.Empty:
                break
            if message is _END:
                self.ended = True
                break
            found.append(message)
        return found

    def last_messages(self) -> list[dict[str, Any]]:
        """What a child that has ended said before; a process that it left behind may hold the stream open."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        while not self.ended and time.monotonic() < deadline:
            found += self.messages(0.1)
        return found

    def send(self, command: dict[str, Any]) -> None:
        """One line on its stdin. A child that is gone already does not mind."""
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return

    def terminate(self, grace_seconds: float) -> None:
        """SIGTERM to its whole session, then SIGKILL after the grace time."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to its whole session."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return

    def exit_code(self) -> int:
        """Its exit code once the stream has ended; negative is the signal that killed it."""
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue
