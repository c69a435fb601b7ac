"""The errors a person or a script may see. Each carries a translatable sentence that says what to do.

Raised by services; turned into problem JSON (RFC 9457) or a page at the edge, in the reader's language.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar, NotRequired, TypedDict

from app.core.i18n import gettext, say
from app.sentences import FailureCode, Sentence, SentenceError, sentence_of


class ErrorDetail(TypedDict):
    """One of several things that are wrong: a field with what is to be said of it, or a conversation."""

    field: NotRequired[str]
    message: NotRequired[str]
    conversation: NotRequired[object]
    detail: NotRequired[str]


class StudioError(SentenceError):
    """Base of what services raise.

    `message` is an English template with `%(name)s` places for `values`, or a sentence that is ready.
    `code` tells programs what happened where a rule has a code of its own; `field` names the offending form or JSON
    field where there is one, and a template may name it as well; `retry_after` is the number of seconds after which
    the same request may succeed.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST
    default_code: ClassVar[str] = FailureCode.INVALID
    # The page that helps, where a browser is led instead of being told, and from where it comes back.
    leads_to: ClassVar[str | None] = None

    def __init__(
        self,
        message: str | Sentence,
        *,
        field: str | None = None,
        code: str | None = None,
        details: list[ErrorDetail] | None = None,
        retry_after: int | None = None,
        **values: object,
    ) -> None:
        if field is not None and isinstance(message, str):
            values.setdefault("field", field)
        super().__init__(sentence_of(message, values), code)
        self.field = field
        self.details = details or []
        self.retry_after = retry_after

    def translated(self) -> str:
        """The sentence in the current locale."""
        return say(self.sentence)

    def relabelled(self, labels: Mapping[str, str]) -> Sentence:
        """The sentence, its field called as people read it beside the form's, in the current locale. `labels`: English, by field."""
        values = self.sentence.values
        label = labels.get(self.field or "")
        if label is None or values.get("field") != self.field:
            return self.sentence
        return Sentence(self.sentence.template, {**values, "field": gettext(label)})

    def on_form(self, labels: Mapping[str, str]) -> str:
        """That in the current locale."""
        return say(self.relabelled(labels))


class NotFound(StudioError):
    """The thing named does not exist, or the reader may not know that it does."""

    status = HTTPStatus.NOT_FOUND
    default_code = FailureCode.NOT_FOUND


class Conflict(StudioError):
    """The thing changed meanwhile, or its state does not allow this."""

    status = HTTPStatus.CONFLICT
    default_code = FailureCode.CONFLICT


class Invalid(StudioError):
    """Input that breaks a rule; names the field or line."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Unauthenticated(StudioError):
    """Nobody is signed in, or the token is unknown or expired."""

    status = HTTPStatus.UNAUTHORIZED
    default_code = FailureCode.UNAUTHENTICATED
    leads_to = "/login"


class Refused(StudioError):
    """Signed in, but not allowed."""

    status = HTTPStatus.FORBIDDEN
    default_code = FailureCode.REFUSED


class PasswordDue(Refused):
    """Signed in with a password that somebody else knows; it is changed before anything else."""

    leads_to = "/account/password"


class TooMany(StudioError):
    """More at once, or in a short time, than one person may ask for."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class Unavailable(StudioError):
    """Something this depends on is not there now; trying again later may help."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    default_code = FailureCode.UNAVAILABLE
