"""Closed rooms: templates of strangers rendered in a child process, every single rendering with a limit.

`quarantine` tries a template once and then trusts it, which is right for a job of its own. A process that
serves many people renders in a room for ever: what a template costs may depend on the conversation.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from app.masking.errors import N_, MaskingError, TemplateFailed, TemplateUnsafe
from app.masking.quarantine import (
    CHILD,
    HERE,
    MEMORY_BYTES,
    STARTUP_SECONDS,
    limit_cpu,
    limit_memory,
    read_line,
)
from app.masking.templates import ChatTemplate

RENDER_SECONDS = 2.0
SLOW_SECONDS = 0.2  # a rendering that takes longer is counted …
MOST_SLOW_SECONDS = 6.0  # … and a template whose slow ones add up to this is refused
OUTPUT_BYTES = 64 * 2**20
MOST_ROOMS = 4


class ClosedTemplate(ChatTemplate):
    """A chat template that never runs in this process.
    Raises TemplateUnsafe when a rendering goes beyond a limit.
    """

    closed = True

    def __init__(self, source: str, name: str = "chat_template") -> None:
        super().__init__(source, name)
        self._slow = 0.0

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        variables: Mapping[str, Any],
        *,
        add_generation_prompt: bool = False,
        tools: Sequence[Any] | None = None,
        moment: datetime | None = None,
    ) -> str:
        """The conversation as text. Raises TemplateFailed with the template's own words."""
        job = {
            "messages": list(messages),
            "variables": dict(variables),
            "add_generation_prompt": add_generation_prompt,
            "tools": tools,
            "moment": moment.isoformat() if moment else None,
        }
        return str(self._ask(job)["text"])

    def _ask(self, job: Mapping[str, Any]) -> dict[str, Any]:
        if self._slow >= MOST_SLOW_SECONDS:
            raise self._unsafe(f"it is too slow: {self._slow:.0f} seconds for a few renderings")
        try:
            answer, seconds = _rooms.ask(self.source, job)
        except _BeyondLimit as error:
            self._slow += RENDER_SECONDS
            raise self._unsafe(str(error)) from error
        self._slow += seconds if seconds > SLOW_SECONDS else 0.0
        if "failed" in answer:
            raise TemplateFailed(answer["failed"], **{**answer["params"], "template": self.name})
        if "unsafe" in answer:
            raise self._unsafe(answer["unsafe"])
        return answer

    @cached_property
    def reads(self) -> frozenset[str]:
        """The names that the template takes from outside; finding them works out its constants."""
        answer = self._ask({"reads": True})
        return frozenset(answer["names"])

    def _unsafe(self, reason: str) -> TemplateUnsafe:
        return TemplateUnsafe(
            N_("The chat template %(template)s was rendered in a closed room and is refused: %(reason)s"),
            template=self.name,
            reason=reason,
        )


class _BeyondLimit(Exception):
    """The room had to be torn down; the message says why."""


class _Room:
    """One child process for one template. Used by one thread at a time."""

    def __init__(self, source: str) -> None:
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD.format(module="rooms"), str(HERE.parents[1]), str(HERE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", ""), "OPENBLAS_NUM_THREADS": "1"},
            close_fds=True,
        )
        weakref.finalize(self, _end, self.process)
        assert self.process.stdout is not None
        if read_line(self.process.stdout.fileno(), STARTUP_SECONDS) != b"ready\n":
            self.close()
            raise MaskingError(N_("The process that renders unknown chat templates did not start."))
        self.ask({"source": source})

    def ask(self, job: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        """The child's answer and the seconds it took. Raises _BeyondLimit,
        after which the room is of no more use.
        """
        began = time.monotonic()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(job).encode() + b"\n")
            self.process.stdin.flush()
            line = read_line(self.process.stdout.fileno(), RENDER_SECONDS, OUTPUT_BYTES)
        except BrokenPipeError:
            line = b""
        if not line:
            self.close()
            limit = f"longer than {RENDER_SECONDS:g} seconds" if line is None else "beyond its limits"
            raise _BeyondLimit(f"a rendering ran {limit}")
        answer: dict[str, Any] = json.loads(line)
        return answer, time.monotonic() - began

    def close(self) -> None:
        _end(self.process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        try:
            if stream is not None:
                stream.close()
        except BrokenPipeError:
            pass


class _Rooms:
    """The rooms in use, the last used last; the oldest is closed when there would be too many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rooms: dict[str, _Room] = {}

    def ask(self, source: str, job: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        """The answer of the template's room, which is opened if there is none."""
        while True:
            with self._lock:
                room = self._rooms.pop(source, None) or _Room(source)
                self._rooms[source] = room
                surplus = [self._rooms.pop(key) for key in list(self._rooms)[:-MOST_ROOMS]]
            for old in surplus:
                with old.lock:
                    old.close()
            with room.lock:
                if room.process.poll() is not None:
                    self._forget(source, room)
                    continue  # closed while this thread waited
                try:
                    return room.ask(job)
                except _BeyondLimit:
                    self._forget(source, room)
                    raise

    def _forget(self, source: str, room: _Room) -> None:
        with self._lock:
            if self._rooms.get(source) is room:
                del self._rooms[source]

    def close_all(self) -> None:
        """End every child."""
        with self._lock:
            rooms, self._rooms = list(self._rooms.values()), {}
        for room in rooms:
            room.close()


_rooms = _Rooms()
close_rooms = _rooms.close_all
atexit.register(close_rooms)


def child_main() -> None:
    """The child: limits its memory, reads the template,
    then renders one conversation a line until its input ends.
    """
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    template: ChatTemplate | None = None
    for line in sys.stdin.buffer:
        job = json.loads(line)
        if template is None:
            limit_memory(MEMORY_BYTES)
            template = ChatTemplate(job["source"])
            answer: dict[str, Any] = {}
        else:
            limit_cpu(RENDER_SECONDS)
            answer = _answer(template, job)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _answer(template: ChatTemplate, job: dict[str, Any]) -> dict[str, Any]:
    try:
        if job.get("reads"):
            return {"names": sorted(template.reads)}
        moment = job.pop("moment")
        job["moment"] = datetime.fromisoformat(moment) if moment else None
        return {"text": template.render(job.pop("messages"), job.pop("variables"), **job)}
    except TemplateFailed as error:
        return {"failed": error.message, "params": {key: str(value) for key, value in error.params.items()}}
    except MemoryError:
        return {"unsafe": f"a rendering used more than {MEMORY_BYTES // 2**20} MiB"}
