"""The parent's side of the warm chat process: starts it, routes its events, never leaves it behind.

Imports no torch, so that the process that owns it stays small.
"""

import queue
import sys
import threading
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.files import CODE_FOLDER
from app.jobs.events import Ending, EventKind
from app.line_process import LineProcess
from app.playground.work import ChatRequest
from app.sentences import N_, Failure, FailureCode, Sentence, SentenceError
from worker.memory_kills import MemoryKills
from worker.parent.child_process import END_SECONDS
from worker.parent.exits import CHAT_DIED, judge_chat_exit
from worker.parent.overheard import Overheard

COMMAND = (sys.executable, "-m", "worker.work.evaluation.chat")
IDLE_TIMEOUT_SECONDS = 600.0
# Of a process that says nothing at all: a large model on a slow disk takes minutes to load.
STALL_TIMEOUT_SECONDS = 600.0
STOP_GRACE_SECONDS = 3.0

# Instead of an event: nothing was said for a while, and the reader may want to do something meanwhile.
TICK: Final = "tick"
_TAKEN_OVER: Final = "taken over"
_Events = queue.SimpleQueue[dict[str, Any]]

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
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, event: dict[str, Any]) -> None:
        """Keep it, under the asker's name, for whoever attaches later, and hand it to the reader."""
        named = {**event, "id": self.key}
        with self._lock:
            self.told.append(named)
            self.reader.put(named)

    def attach(self) -> _Events:
        """A new reader, who gets everything from the beginning; the one before ends."""
        with self._lock:
            self.reader.put({"event": _TAKEN_OVER})
            self.reader = queue.SimpleQueue()
            for event in self.told:
                self.reader.put(event)
            return self.reader


class _Process:
    """The chat process, with what tells why it ended."""

    def __init__(self, command: Sequence[str]) -> None:
        self._kills, self._overheard = MemoryKills.now(), Overheard()
        self.lines = LineProcess(command, folder=CODE_FOLDER, log=self._overheard.mouth)
        self._overheard.listen()

    def why_it_ended(self) -> Failure:
        """By itself; one that still runs is judged as one that died, as only its owner ends it then."""
        code = self.lines.exit_code
        if code is None:
            return Failure.of(FailureCode.DIED, CHAT_DIED)
        return judge_chat_exit(code, for_memory=self._kills.one_came(), printed=self._overheard.last_words())


class WarmChat:
    """Owns one chat process. Requests of several threads are queued by the process and routed back by id."""

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        *,
        idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS,
        stall_timeout_seconds: float = STALL_TIMEOUT_SECONDS,
    ) -> None:
        self._command = tuple(command)
        self._idle_timeout_seconds = idle_timeout_seconds
        self._stall_timeout_seconds = stall_timeout_seconds
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._waiting: dict[str, _Request] = {}
        self._last_event = time.monotonic()
        self._idle_timer: threading.Timer | None = None
        self._closed = False

    def stream(self, request: ChatRequest, *, tick_seconds: float | None = None) -> Generator[dict[str, Any]]:
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
        return process.lines.pid if process is not None and process.lines.is_running else None

    def _ask(self, request: ChatRequest) -> tuple[_Request, _Events]:
        """Send it, or attach to the one under way."""
        key = request.id or uuid.uuid4().hex
        asked = _Request(key, [*request.of(key).sides])
        with self._lock:
            if self._closed:
                raise SentenceError(Sentence(CLOSED), FailureCode.UNAVAILABLE)
            for known in self._waiting.values():
                if known.key == asked.key:
                    return known, known.attach()
            self._stop_idle_timer()
            self._last_event = time.monotonic()
            if self._process is not None and not self._process.lines.is_running:
                self._stop_process(self._process.why_it_ended())
            if self._process is None:
                self._process = self._start()
            # Known before it is sent: an answer may come at once.
            self._waiting[asked.id] = asked
            if not _write(self._process.lines, request.of(asked.id).to_json()):
                self._stop_process(self._process.why_it_ended())
            return asked, asked.reader

    def _start(self) -> _Process:
        process = _Process(self._command)
        threading.Thread(target=self._route, args=(process,), daemon=True).start()
        return process

    def _route(self, process: _Process) -> None:
        """Hand each event to the request it belongs to, until the process ends."""
        for event in process.lines.messages():
            self._last_event = time.monotonic()
            waiting = self._waiting.get(str(event.get("id")))
            if waiting is not None:
                waiting.tell(event)
        process.lines.wait(END_SECONDS)
        with self._lock:
            if self._process is process:
                self._stop_process(process.why_it_ended())

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
            return _failed(asked.key, stalled)

    def _leave(self, asked: _Request, reader: _Events, *, cancel: bool) -> None:
        with self._lock:
            if asked.reader is not reader:
                return  # somebody else reads it now
            self._waiting.pop(asked.id, None)
            if cancel and self._process is not None:
                _write(self._process.lines, {"cancel": asked.id})
            if not self._waiting and not self._closed and self._process is not None:
                self._stop_idle_timer()
                self._idle_timer = threading.Timer(self._idle_timeout_seconds, self._stop_when_idle)
                self._idle_timer.daemon = True
                self._idle_timer.start()

    def _stop_when_idle(self) -> None:
        with self._lock:
            if not self._waiting:
                self._stop_process(Failure.of(FailureCode.DIED, CHAT_DIED))

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _stop_process(self, reason: Failure) -> None:
        """With the lock held: end the process, with everything it may have started, and tell who waits."""
        process, self._process = self._process, None
        if process is None:
            return
        process.lines.hang_up(STOP_GRACE_SECONDS)
        process.lines.close()
        for asked in self._waiting.values():
            asked.tell(_failed(asked.key, reason))


def _write(process: LineProcess, message: Mapping[str, Any]) -> bool:
    """False when the process is gone, or reads nothing any more."""
    try:
        return process.send(message) and process.is_running
    except TimeoutError:
        return False


def _failed(request_id: str, failure: Failure) -> dict[str, Any]:
    return {"event": Ending.FAILED, "id": request_id, **failure.to_json()}
