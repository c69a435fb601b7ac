"""The words between the worker and its child process: events out, control in, and the two ways to end early.

Work functions see only these types. Nothing here imports torch or the database.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Self

from app.jobs.events import Emit, EventKind
from app.sentences import Sentence, SentenceError, sentence_of

StopRequest = Literal["cancel", "save"]


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


class JobFailed(SentenceError):
    """An expected failure: a code, and one sentence that says what is wrong and what to do about it."""

    def __init__(self, code: str, message: str | Sentence, /, **values: object) -> None:
        super().__init__(sentence_of(message, values), code)

    @classmethod
    def of(cls, error: SentenceError) -> Self:
        """The same failure, met below."""
        return cls(error.code, error.sentence)


class Cancelled(Exception):
    """The job stopped because it was told to; nothing of it is kept."""


# run(input, output_dir, emit, control) -> the job's result, all of it plain JSON.
Work = Callable[[dict[str, Any], Path, Emit, Control], dict[str, Any]]


def log(emit: Emit, level: Literal["info", "warning", "error"], message: str, **values: object) -> None:
    """A line for the job's log, which is shown in the reader's language."""
    emit(EventKind.LOG, level=level, sentence=Sentence.of(message, **values).to_json())
