"""The words between the worker and its child process: events out, control in, and the two ways to end early.

Work functions see only these types. Nothing here imports torch or the database.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

# Called as emit("metric", step=1, loss=2.0): the event's kind, then its payload, all of it plain JSON.
Emit = Callable[..., None]
StopRequest = Literal["cancel", "save"]


def N_(message: str) -> str:
    """Mark a message for translation; the edge that shows it translates it."""
    return message


def fill_in(message: str, params: dict[str, Any]) -> str:
    """The message with its named placeholders filled; untouched where there are none to fill."""
    return message % params if params else message


class Control:
    """What the person who started the job asks of it while it runs."""

    def __init__(self) -> None:
        self._stop_requested: StopRequest | None = None

    @property
    def stop_requested(self) -> StopRequest | None:
        return self._stop_requested

    def request_stop(self, stop: StopRequest) -> None:
        """Take note of a wish to stop. A cancel outranks a save, whichever came first."""
        if self._stop_requested != "cancel":
            self._stop_requested = stop

    def raise_if_cancelled(self) -> None:
        if self._stop_requested == "cancel":
            raise Cancelled


class JobFailed(Exception):
    """An expected failure: `message` says in one sentence what is wrong and what to do about it.

    The template and its parameters travel with the event, so that a page can show them in its own language.
    """

    def __init__(self, message: str, **params: Any) -> None:
        super().__init__(fill_in(message, params))
        self.message = message
        self.params = params


class Cancelled(Exception):
    """The job stopped because it was told to; nothing of it is kept."""


# run(input, output_dir, emit, control) -> the job's result, all of it plain JSON.
Work = Callable[[dict[str, Any], Path, Emit, Control], dict[str, Any]]


def log(emit: Emit, level: Literal["info", "warning", "error"], message: str, **params: Any) -> None:
    """A line for the job's log, with its template so that it can be shown in another language."""
    emit("log", level=level, message=fill_in(message, params), template=message, params=params)
