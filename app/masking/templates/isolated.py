"""Isolated rendering: templates of strangers run in a child process, every single rendering with a limit.

What a template costs may depend on the conversation, so that none is ever trusted because it behaved before.
"""

import atexit
import json
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from app.files import CODE_FOLDER
from app.line_process import LineProcess
from app.masking.errors import MaskingError, TemplateFailed, TemplateUnsafe
from app.masking.templates import isolated_child
from app.masking.templates.chat_template import ChatTemplate
from app.masking.templates.isolated_child import READY, RENDER_SECONDS
from app.sentences import N_, Sentence
from app.unlocked import cached_property

# `-I` keeps the caller's folder and environment out, so the code's own folder is named.
CODE = "import sys; sys.path.insert(0, sys.argv[1]); from app.masking.templates.isolated_child import main; main()"
COMMAND = (sys.executable, "-I", "-c", CODE, str(CODE_FOLDER))
STARTUP_SECONDS = 60.0
# A child on a busy machine waits for its turn; its own clock counts only the time it works.
ANSWER_SECONDS = 5 * RENDER_SECONDS
ANSWER_BYTES = 256 * 2**20
SLOW_SECONDS = 0.2  # a rendering that works longer is counted …
MOST_SLOW_SECONDS = 6.0  # … and a template whose slow ones add up to this …
SLOW_WITHIN_SECONDS = 60.0  # … within a minute is refused for the rest of it
MOST_RENDERERS = 4
PLACE_SECONDS = 30.0

_NOT_STARTED = N_("The process that renders unknown chat templates did not start: %(reason)s")
_NO_PLACE = N_("Too many chat templates are being rendered at this moment. Try again in a few seconds.")
_TOO_LONG = N_("The chat template %(template)s is refused: a rendering took longer than %(seconds)d seconds.")
_TOO_MUCH = N_(
    "The chat template %(template)s is refused: a rendering took more than %(limit)d MB of memory, or wrote far more "
    "than the conversation holds."
)
_TOO_SLOW = N_(
    "The chat template %(template)s is refused for a minute: its last renderings took %(seconds)d seconds."
)


class IsolatedTemplate(ChatTemplate):
    """A chat template that never runs in this process.
    Raises TemplateUnsafe when a rendering goes beyond a limit.
    """

    def __init__(self, source: str, name: str = "chat_template") -> None:
        super().__init__(source, name)
        self._slow: deque[tuple[float, float]] = deque()
        self._renders_many = True

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
        request = {
            "messages": list(messages),
            "variables": dict(variables),
            "add_generation_prompt": add_generation_prompt,
            "tools": tools,
            "moment": moment.isoformat() if moment else None,
        }
        return str(self._ask(request)["text"])

    def render_many(
        self,
        many: Sequence[Sequence[Mapping[str, Any]]],
        variables: Mapping[str, Any],
        *,
        moment: datetime | None = None,
    ) -> list[str | None]:
        """Several conversations at once, which saves going back and forth; None where one has to be asked for by
        itself. All have the time of one: where that is too short, it is not tried again.
        """
        nothing: list[str | None] = [None] * len(many)
        if not self._renders_many or len(many) < 2:
            return nothing
        request = {
            "many": [list(messages) for messages in many],
            "variables": dict(variables),
            "moment": moment.isoformat() if moment else None,
        }
        try:
            answer = _renderers.ask(self.source, request)
        except _BeyondLimit:
            self._renders_many = False
            return nothing
        return answer.get("texts") or nothing

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._refuse_if_slow()
        try:
            answer = _renderers.ask(self.source, request)
        except _BeyondLimit as error:
            self._slow.append((time.monotonic(), RENDER_SECONDS))
            raise self._unsafe(error) from error
        if answer["seconds"] > SLOW_SECONDS:
            self._slow.append((time.monotonic(), answer["seconds"]))
        if "failed" in answer:
            raise TemplateFailed(Sentence.from_json(answer["failed"]), template=self.name)
        if "unsafe" in answer:
            raise self._unsafe(_BeyondLimit())
        return answer

    def _refuse_if_slow(self) -> None:
        since = time.monotonic() - SLOW_WITHIN_SECONDS
        while self._slow and self._slow[0][0] < since:
            self._slow.popleft()
        slow = sum(seconds for _, seconds in self._slow)
        if slow >= MOST_SLOW_SECONDS:
            raise TemplateUnsafe(_TOO_SLOW, template=self.name, seconds=int(slow))

    @cached_property
    def reads(self) -> frozenset[str]:
        """The names that the template takes from outside; finding them works out its constants."""
        return frozenset(self._ask({"reads": True})["names"])

    def _unsafe(self, error: "_BeyondLimit") -> TemplateUnsafe:
        if error.too_long:
            return TemplateUnsafe(_TOO_LONG, template=self.name, seconds=int(RENDER_SECONDS))
        return TemplateUnsafe(_TOO_MUCH, template=self.name, limit=isolated_child.MEMORY_BYTES // 2**20)


class _BeyondLimit(Exception):
    """A rendering went beyond its limits: of time, or of memory and length."""

    def __init__(self, *, too_long: bool = False) -> None:
        super().__init__()
        self.too_long = too_long


class _Renderer:
    """One child process for one template. Used by one thread at a time."""

    def __init__(self, source: str) -> None:
        self.source = source
        environment = {"PATH": os.environ.get("PATH", ""), "OPENBLAS_NUM_THREADS": "1"}
        try:
            self.process = LineProcess(COMMAND, environment=environment, keeps_words=True)
        except OSError as error:
            raise MaskingError(_NOT_STARTED, reason=error) from error
        if self.process.read_line(STARTUP_SECONDS) != READY:
            reason = self.process.last_words()
            self.close()
            raise MaskingError(_NOT_STARTED, reason=reason or "–")
        self.ask({"source": source})

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The child's answer. Raises _BeyondLimit, after which the process is of no more use."""
        with self._closed_unless_answered():
            try:
                sent = self.process.send(request, ANSWER_SECONDS)
                line = self.process.read_line(ANSWER_SECONDS, ANSWER_BYTES) if sent else b""
            except TimeoutError:
                line = None
            if not line:
                raise _BeyondLimit(too_long=line is None or self.process.kill() == -signal.SIGPROF)
            answer: dict[str, Any] = json.loads(line)
        return answer

    @contextmanager
    def _closed_unless_answered(self) -> Iterator[None]:
        """A question that was given up half way (Ctrl-C) would have its answer taken for the next one's."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.process.close()


class _Renderers:
    """The renderers of this process: those that render, and those kept for their template's next rendering. Together they
    are at most MOST_RENDERERS; whoever finds all of them rendering waits for a place.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MOST_RENDERERS)
        self._taken: dict[object, _Renderer | None] = {}  # by place; None while it is being started
        self._kept: list[_Renderer] = []  # the last used last

    def ask(self, source: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of a process of the template, started if none is kept. Raises MaskingError when no place got free."""
        if not self._places.acquire(timeout=PLACE_SECONDS):
            raise MaskingError(_NO_PLACE)
        place, renderer = object(), None
        try:
            renderer = self._take(place, source) or _Renderer(source)
            with self._lock:
                self._taken[place] = renderer
            answer = renderer.ask(request)
        except BaseException:
            self._give_back(place)
            if renderer is not None:
                renderer.close()
            raise
        self._give_back(place, kept=renderer)
        return answer

    def _take(self, place: object, source: str) -> _Renderer | None:
        """A kept process of the template; else None, once those used longest ago have made way for a new one."""
        with self._lock:
            own = next((renderer for renderer in reversed(self._kept) if renderer.source == source), None)
            if own is not None:
                self._kept.remove(own)
            self._taken[place] = own
            surplus = max(0, len(self._kept) + len(self._taken) - MOST_RENDERERS)
            closing, self._kept = self._kept[:surplus], self._kept[surplus:]
        if own is not None and not own.process.is_running:  # it ended while it waited
            closing, own = [*closing, own], None
        for renderer in closing:
            renderer.close()
        return own

    def _give_back(self, place: object, *, kept: _Renderer | None = None) -> None:
        with self._lock:
            self._taken.pop(place, None)
            if kept is not None:
                self._kept.append(kept)
        self._places.release()

    def close_all(self) -> None:
        """End every child."""
        with self._lock:
            renderers = [
                *self._kept,
                *(renderer for renderer in self._taken.values() if renderer is not None),
            ]
            self._kept = []
        for renderer in renderers:
            renderer.close()


_renderers = _Renderers()
close_renderers = _renderers.close_all
atexit.register(close_renderers)
