"""JSON by REST is as strict as JSON by file: no NaN, no number beyond any, no field twice.

The framework's own reader takes all three in silence and keeps the last of two equal fields; it also reads on the event
loop, where everybody waits for a large one.
"""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from app.core.i18n import say
from app.interchange.files.limits import ImportLimits
from app.interchange.files.strict_json import StrictJson
from app.interchange.sentences.problems import RecordRefused
from app.sentences import N_, Sentence

_READER: Final = StrictJson(ImportLimits())
# Of an object that is no message's: the validator tells of each that it does not know, and takes long for a million.
FIELDS: Final = 1_000
_TOO_MANY_FIELDS: Final = N_("An object of the body has more than %(limit)d fields.")


class _Refused(HTTPException):
    """What only a lenient reader accepts; the sentence is translated already."""

    def __init__(self, sentence: Sentence, code: str) -> None:
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY, say(sentence))
        self.code = code


class _StrictRequest(Request):
    """A request whose JSON is read strictly, and in a thread."""

    async def json(self) -> Any:
        """Raises what the framework makes answers of."""
        return await run_in_threadpool(_read, await self.body())


class StrictRoute(APIRoute):
    """A route that reads the JSON of a body strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's own, given a strict request."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly


def _read(body: bytes) -> Any:
    try:
        value = _READER.decode(body.decode())
    except RecordRefused as refusal:
        raise _Refused(refusal.sentence.with_values(line=1), refusal.code) from None
    _require_few_fields(value)
    return value


def _require_few_fields(value: Any) -> None:
    """Of the body and the objects right in each other; messages and what is in them are in lists, and have rules of
    their own."""
    if isinstance(value, dict):
        if len(value) > FIELDS:
            raise _Refused(Sentence.of(_TOO_MANY_FIELDS, limit=FIELDS), "too_many_fields")
        for field in value.values():
            _require_few_fields(field)
