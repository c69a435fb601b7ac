"""The words between the worker and its child process: events out, control in, and the two ways to end early.

Work functions see only these types. Nothing here imports torch or the database.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar

from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.stored_models import StoredModel
from app.invalid import wrong_fields
from app.jobs.events import Emit, EventKind
from app.jobs.work import JobInput
from app.sentences import N_, FailureCode, Sentence, SentenceError, sentence_of
from worker.exits import Exit

StopRequest = Literal["cancel", "save", "pause"]
# The stronger one holds, whichever came first.
_STRENGTH: Final[dict[StopRequest | None, int]] = {None: 0, "pause": 1, "save": 2, "cancel": 3}
InputT = TypeVar("InputT", bound=JobInput)


class Control:
    """What the person who started the job asks of it while it runs."""

    def __init__(self) -> None:
        self._stop_requested: StopRequest | None = None

    @property
    def stop_requested(self) -> StopRequest | None:
        return self._stop_requested

    def request_stop(self, stop: StopRequest) -> None:
        """Take note of a wish to stop. A cancel outranks a save, and that a pause, whichever came first."""
        if _STRENGTH[stop] > _STRENGTH[self._stop_requested]:
            self._stop_requested = stop

    def raise_if_cancelled(self) -> None:
        if self._stop_requested == "cancel":
            raise Cancelled

    def raise_if_stopped(self) -> None:
        """Where nothing was done yet that a checkpoint would have to keep. Raises Cancelled or Paused."""
        self.raise_if_cancelled()
        if self._stop_requested == "pause":
            raise Paused


class JobFailed(SentenceError):
    """An expected failure: a code, and one sentence that says what is wrong and what to do about it.

    `again` is what the log says where it was none of the job's own, and another attempt, once, may do better.
    """

    again: Sentence | None = None

    def __init__(self, code: str, message: str | Sentence, /, **values: object) -> None:
        super().__init__(sentence_of(message, values), code)

    @classmethod
    def of(cls, error: SentenceError) -> Self:
        """The same failure, met below."""
        return cls(error.code, error.sentence)

    @classmethod
    def of_exit(cls, judged: Exit) -> Self:
        """Of a process of the job's that ended without a word."""
        failed = cls(judged.failure.code, judged.failure.sentence)
        failed.again = judged.again
        return failed


def base_is_no_number() -> JobFailed:
    """What a run begins with computes it before anything was trained here: no setting of the run helps."""
    return JobFailed(
        FailureCode.MODEL_UNUSABLE,
        N_(
            "The base model's own loss on a conversation, or its gradient, is no number, with the adapter on it that the run "
            "begins from where there is one: weights are damaged, or numbers are too large for this precision. Prepare the "
            "model again, set bf16 to the precision it was made in, or begin without that adapter."
        ),
    )


class Cancelled(Exception):
    """The job stopped because it was told to; nothing of it is kept."""


class Paused(Exception):
    """The job stopped for a while; whatever it has done lies in a checkpoint."""


# run(job, output_dir, emit, control) -> what came of it. `job` is read as the class that the function names for it.
Work = Callable[[Any, Path, Emit, Control], StoredModel]


def read_document(model: type[InputT], given: Mapping[str, Any]) -> InputT:
    """What the parent wrote. Raises JobFailed about the first field that is wrong, of the document or of a config in it."""
    try:
        return model.stored(given)
    except Invalid as error:
        failed = JobFailed.of(error)
        failed.code = FailureCode.CONFIG_INVALID
        raise failed from error
    except ValidationError as error:
        raise JobFailed(FailureCode.JOB_MALFORMED, wrong_fields(error.errors())[0].sentence) from error


def log(
    emit: Emit, level: Literal["info", "warning", "error"], message: str | Sentence, **values: object
) -> None:
    """A line for the job's log, which is shown in the reader's language."""
    emit(EventKind.LOG, level=level, sentence=sentence_of(message, values).to_json())
