"""The errors a person or a script may see. Each carries a translatable sentence that says what to do.

Raised by services; turned into problem JSON (RFC 9457) or a page at the edge, in the reader's language.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from app.core.i18n import gettext


class StudioError(Exception):
    """Base of all expected failures.

    `message` is an English template with `%(name)s` placeholders, also the translation key.
    `code` tells programs what happened, where a rule has one; `field` names the offending form or JSON field where
    there is one; `retry_after` is the number of seconds after
    which the same request may succeed.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        code: str | None = None,
        details: list[dict[str, Any]] | None = None,
        retry_after: int | None = None,
        **params: object,
    ) -> None:
        self.message = message
        if field is not None and "field" not in params:
            params["field"] = field  # a message may name its field
        self.params: Mapping[str, object] = params
        self.field = field
        self.code = code
        self.details = details or []
        self.retry_after = retry_after
        super().__init__(message % params if params else message)

    def translated(self) -> str:
        """The sentence in the current locale."""
        text = gettext(self.message)
        return text % self.params if self.params else text


class NotFound(StudioError):
    """The thing named does not exist, or the reader may not know that it does."""

    status = HTTPStatus.NOT_FOUND


class Conflict(StudioError):
    """The thing changed meanwhile, or its state does not allow this."""

    status = HTTPStatus.CONFLICT


class Invalid(StudioError):
    """Input that breaks a rule; names the field or line."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Unauthenticated(StudioError):
    """Nobody is signed in, or the token is unknown or expired."""

    status = HTTPStatus.UNAUTHORIZED


class Refused(StudioError):
    """Signed in, but not allowed."""

    status = HTTPStatus.FORBIDDEN


class TooLarge(StudioError):
    """Over a stated limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class TooMany(StudioError):
    """More at once, or in a short time, than one person may ask for."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class Unavailable(StudioError):
    """Something this depends on is not there now; trying again later may help."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
