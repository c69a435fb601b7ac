"""JSON by REST is as strict as JSON by file: no NaN, no number beyond any, no field twice.

The framework's own reader takes all three in silence and keeps the last of two equal fields.
"""

from email.message import Message
from http import HTTPStatus
from typing import Final

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from app.core.i18n import say
from app.core.web import SAFE_METHODS
from app.interchange.files.limits import ImportLimits
from app.interchange.files.strict_json import StrictJson
from app.interchange.sentences.problems import RecordRefused

_READER: Final = StrictJson(ImportLimits())


class _Refused(HTTPException):
    """What only a lenient reader accepts; the sentence is translated already."""

    def __init__(self, refusal: RecordRefused) -> None:
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY, say(refusal.sentence.with_values(line=1)))
        self.code = refusal.code


async def require_strict_json(request: Request) -> None:
    """Runs before every route that has read a JSON body. Raises for what such a body may not hold."""
    route = request.scope.get("route")
    if request.method in SAFE_METHODS or getattr(route, "body_field", None) is None or not _is_json(request):
        return
    body = await request.body()
    try:
        await run_in_threadpool(_READER.decode, body.decode())
    except RecordRefused as refusal:
        raise _Refused(refusal) from None


def _is_json(request: Request) -> bool:
    message = Message()
    message["content-type"] = request.headers.get("content-type", "")
    kind = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (kind == "json" or kind.endswith("+json"))
