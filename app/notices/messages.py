"""What is told of an end: the body of a webhook and the content of a notice. Loads no database."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import BaseModel

from app.core.i18n import get_locale, gettext, say
from app.core.stored_models import StoredModel
from app.gates.schemas import GateOut
from app.scoring.suites import suite_title
from app.sentences import N_, Sentence


class Event(StrEnum):
    """What a webhook may be told of."""

    RUN_SUCCEEDED = "run.succeeded"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    EVALUATION_SUCCEEDED = "evaluation.succeeded"
    EVALUATION_FAILED = "evaluation.failed"
    GATE_JUDGED = "gate.judged"
    TEST = "test"


# A person may subscribe to these; a test is sent when it is asked for.
OFFERED: Final = tuple(event for event in Event if event is not Event.TEST)
EVENT_WORDS: Final[dict[Event, str]] = {
    Event.RUN_SUCCEEDED: N_("A run has succeeded"),
    Event.RUN_FAILED: N_("A run has failed"),
    Event.RUN_CANCELLED: N_("A run was cancelled"),
    Event.EVALUATION_SUCCEEDED: N_("An evaluation is done"),
    Event.EVALUATION_FAILED: N_("An evaluation has failed"),
    Event.GATE_JUDGED: N_("A gate was judged"),
    Event.TEST: N_("A test"),
}
_SAID: Final[dict[Event, str]] = {
    Event.RUN_SUCCEEDED: N_("The run “%(run)s” has succeeded."),
    Event.RUN_FAILED: N_("The run “%(run)s” has failed."),
    Event.RUN_CANCELLED: N_("The run “%(run)s” was cancelled."),
    Event.EVALUATION_SUCCEEDED: N_("The evaluation of “%(run)s” on %(suite)s is done: %(verdict)s"),
    Event.EVALUATION_FAILED: N_("The evaluation of “%(run)s” on %(suite)s has failed."),
    Event.TEST: N_("A test from SFT Studio."),
}
_GATE: Final = {
    True: N_("The run “%(run)s” passes the gate."),
    False: N_("The run “%(run)s” does not pass the gate."),
    None: N_("The run “%(run)s” could not be judged."),
}


class VerdictTold(BaseModel):
    """Whether the tuned model is better, over all suites so far, in English."""

    level: str
    word: str
    detail: str


class MessageData(BaseModel):
    """What it is about; what does not belong to the event is null. `page` is the path of the page on the server, and `url` its
    address where SFT_STUDIO_PUBLIC_URL says how the server is reached. `error` is in English, `error_code` for programs.
    """

    run_id: int | None = None
    run: str | None = None
    evaluation_id: int | None = None
    suite: str | None = None
    asked_by: str | None = None
    error: str | None = None
    error_code: str | None = None
    verdict: VerdictTold | None = None
    gate: GateOut | None = None
    page: str | None = None
    url: str | None = None


class Trouble(StoredModel):
    """Why a message did not reach its receiver."""

    sentence: Sentence


class Message(StoredModel):
    """The body of a webhook in the format `json`."""

    schema_version: Literal[1] = 1
    type: Event
    timestamp: datetime
    data: MessageData

    @property
    def sentence(self) -> Sentence:
        """For people, in one line; why something failed is told where it leads."""
        told: dict[str, Any] = {
            "run": self.data.run or "",
            "suite": suite_title(self.data.suite, get_locale()) if self.data.suite else "",
            "verdict": gettext(self.data.verdict.word) if self.data.verdict else "–",
        }
        if self.type is Event.GATE_JUDGED:
            return Sentence.of(_GATE[self.data.gate.passed if self.data.gate else None], **told)
        return Sentence.of(_SAID[self.type], **told)

    @property
    def text(self) -> str:
        """The same in the reader's language."""
        return say(self.sentence)
