"""The parent's side of the warm chat process: starts it, routes its events, never leaves it behind.

Imports no torch, so that the process that owns it stays small.
"""

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from app.jobs.events import Ending, EventKind
from app.sentences import N_, Failure, FailureCode, Sentence, SentenceError

PROJECT_FOLDER = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "worker.work.evaluation.chat")
IDLE_TIMEOUT_SECONDS = 600.0
# Of a process that says nothing at all: a large model on a slow disk takes minutes to load.
STALL_TIMEOUT_SECONDS = 600.0
STOP_GRACE_SECONDS = 3.0

_log = logging.getLogger(__name__)

# Instead of an event: nothing was said for a while, and the reader may want to do something meanwhile.
TICK: Final = "tick"
_TAKEN_OVER: Final = "taken over"
_Events = queue.SimpleQueue[dict[str, Any]]

DIED = N_("The chat process ended unexpectedly; ask again to start a new one.")
STALLED = N_("The chat process did not answer for %(seconds)d seconds and was stopped; ask again.")
CLOSED = N_("The chat is shutting down.")


@dataclass
class _Request:
    """One that the process works on. `key` is the asker's name for it, `id` ours: a late cancel can mean no other."""

    key: str
    sides: list[str]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    told: list[dict[str, Any]] = field(default_factory=list)
    reader: _Events = field(default_factory=queue.SimpleQueue)

    def tell(self, event: dict[str, Any]) -> None:
        """Keep it for whoever attaches later, and hand it to the reader."""
        self.told.append(event)
        self.reader.put(event)

    def attach(self) -> _Events:
        """A new reader, who gets everything from the beginning; the one before ends."""
        self.reader.put({"event": _TAKEN_OVER})
        self.reader = queue.SimpleQueue()
        for event in self.told:
            self.reader.put(event)
        return self.reader


class WarmChat:
    """Owns one chat process. Requests of several threads are queued by the process and routed back by id."""

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        *,
        idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS,
        stall_timeout_seconds: float = STALL_TIMEOUT_SECONDS,
        log: IO[bytes] | None = None,
    ) -> None:
        self._command = tuple(command)
        self._idle_timeout_seconds = idle_timeout_seconds
        self._stall_timeout_seconds = stall_timeout_seconds
        self._stderr = log
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._waiting: dict[str, _Request] = {}
        self._last_event = time.monotonic()
        self._idle_timer: threading.Timer | None = None
        self._closed = False

    def stream(
        self, request: Mapping[str, Any], *, tick_seconds: float | None = None
    ) -> Generator[dict[str, Any]]:
        """Events of one request until every side is done or it failed. Closing the iterator cancels it.

        A request whose `id` is being answered already is not asked again: the stream attaches to it, from its first
        event, and the stream that read it before ends. With `tick_seconds`, a TICK comes after each such silence.
        """
        asked, reader = self._ask(request)
        unfinished = set(asked.sides)
        try:
            while unfinished:
                event = self._next(asked, reader, tick_seconds)
                if event["event"] == _TAKEN_OVER:
                    return
                if event["event"] == Ending.FAILED:
                    unfinished.clear()
                elif event["event"] == EventKind.DONE:
                    unfinished.discard(event["side"])
                yield event
        finally:
            self._leave(asked, reader, cancel=bool(unfinished))

    def close(self) -> None:
        """Stop the process and fail whatever still waits. Nothing is left behind."""
        with self._lock:
            self._closed = True
            self._stop_idle_timer()
            self._stop_process(Failure.of(FailureCode.UNAVAILABLE, CLOSED))

    def __enter__(self) -> "WarmChat":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def process_id(self) -> int | None:
        """Of the running process; None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def _ask(self, request: Mapping[str, Any]) -> tuple[_Request, _Events]:
        """Send it, or attach to the one under way."""
        sides = list(request.get("sides") or (["base", "tuned"] if request.get("adapter_path") else ["base"]))
        asked = _Request(str(request.get("id") or uuid.uuid4().hex), sides)
        with self._lock:
            if self._closed:
                raise SentenceError(Sentence(CLOSED), FailureCode.UNAVAILABLE)
            for known in self._waiting.values():
                if known.key == asked.key:
                    return known, known.attach()
            self._stop_idle_timer()
            self._last_event = time.monotonic()
            if self._process is not None and self._process.poll() is not None:
                self._stop_process(Failure.of(FailureCode.DIED, DIED))
            if self._process is None:
                self._process = self._start()
            # Known before it is sent: an answer may come at once.
            self._waiting[asked.id] = asked
            if not _write(self._process, {**request, "id": asked.id, "sides": sides}):
                self._stop_process(Failure.of(FailureCode.DIED, DIED))
            return asked, asked.reader

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=PROJECT_FOLDER,
            encoding="utf-8",
            start_new_session=True,
        )
        threading.Thread(target=self._route, args=(process,), daemon=True).start()
        return process

    def _route(self, process: subprocess.Popen[str]) -> None:
        """Hand each event to the request it belongs to, until the process ends."""
        assert process.stdout is not None
        for line in process.stdout:
            try:
                event = json.loads(line)
                request_id = event["id"]
            except (ValueError, TypeError, KeyError):
                _log.warning("the chat process wrote a line that is no event")
                continue
            self._last_event = time.monotonic()
            with self._lock:
                waiting = self._waiting.get(request_id)
                if waiting is not None:
                    waiting.tell(event)
        process.stdout.close()
        with self._lock:
            if self._process is process:
                self._stop_process(Failure.of(FailureCode.DIED, DIED))

    def _next(self, asked: _Request, reader: _Events, tick_seconds: float | None) -> dict[str, Any]:
        """The next event. Silence counts for the process as a whole: a request may wait behind another."""
        while True:
            left = self._last_event + self._stall_timeout_seconds - time.monotonic()
            try:
                return reader.get(timeout=max(min(left, tick_seconds or left), 0.01))
            except queue.Empty:
                if time.monotonic() - self._last_event < self._stall_timeout_seconds:
                    if tick_seconds is not None:
                        return {"event": TICK}
                    continue
            stalled = Failure.of(FailureCode.STALLED, STALLED, seconds=int(self._stall_timeout_seconds))
            with self._lock:
                self._stop_process(stalled)
            return _failed(asked.id, stalled)

    def _leave(self, asked: _Request, reader: _Events, *, cancel: bool) -> None:
        with self._lock:
            if asked.reader is not reader:
                return  # somebody else reads it now
            self._waiting.pop(asked.id, None)
            if cancel and self._process is not None:
                _write(self._process, {"cancel": asked.id})
            if not self._waiting and not self._closed and self._process is not None:
                self._stop_idle_timer()
                self._idle_timer = threading.Timer(self._idle_timeout_seconds, self._stop_when_idle)
                self._idle_timer.daemon = True
                self._idle_timer.start()

    def _stop_when_idle(self) -> None:
        with self._lock:
            if not self._waiting:
                self._stop_process(Failure.of(FailureCode.DIED, DIED))

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _stop_process(self, reason: Failure) -> None:
        """With the lock held: end the process, with everything it may have started, and tell who waits."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(STOP_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for asked in self._waiting.values():
            asked.tell(_failed(asked.id, reason))


def _write(process: subprocess.Popen[str], message: Mapping[str, Any]) -> bool:
    """False when the process is gone."""
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(message, ensure_ascii=False) + "\n")
        process.stdin.flush()
    except (OSError, ValueError):
        return False
    return process.poll() is None


def _failed(request_id: str, failure: Failure) -> dict[str, Any]:
    return {"event": Ending.FAILED, "id": request_id, **failure.to_json()}
