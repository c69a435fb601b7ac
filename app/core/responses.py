"""How an expected failure leaves the server: problem JSON for scripts and htmx, a page for people."""

import sqlite3
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.core.addresses import path_of
from app.core.errors import ErrorDetail, StudioError, Unauthenticated
from app.core.i18n import gap, gettext, say
from app.core.logging import get_logger
from app.core.outages import BUSY, brief, outage_sentence
from app.core.pages_above import is_opened, page_above
from app.core.routing import DeclaredRoute
from app.core.storage import DISK_FULL, DISK_PROTECTED
from app.core.templating import is_htmx, render
from app.core.unstorable import UNSTORABLE, UNSTORABLE_ERRORS
from app.core.web import CROWDED, RETRY_SECONDS, SAFE_METHODS
from app.files import tells_full_disk, tells_protected_disk
from app.invalid import wrong_fields
from app.sentences import N_, FailureCode

logger = get_logger(__name__)

# A rule of the database that the services check first: broken only by two requests at the same moment.
_OVERTAKEN = N_("Somebody else changed or deleted this at the same moment. Reload and try again.")
# The first of them, in one answer: as many as somebody mends before trying again.
_WRONG_FIELDS = 50
_STATUS_MESSAGES = {
    HTTPStatus.BAD_REQUEST: N_(
        "The request cannot be read: its body breaks off or is not what its header says."
    ),
    HTTPStatus.NOT_FOUND: N_("There is nothing at this address. It may have been deleted."),
    HTTPStatus.METHOD_NOT_ALLOWED: N_("This address does not take that kind of request."),
    HTTPStatus.INTERNAL_SERVER_ERROR: N_("Something went wrong on the server. The details are in its log."),
    HTTPStatus.SERVICE_UNAVAILABLE: BUSY,
}


def problem(
    status: int,
    detail: str,
    *,
    field: str | None = None,
    code: str | None = None,
    details: list[ErrorDetail] | None = None,
) -> JSONResponse:
    """RFC 9457 problem document, with `code` where the rule that was broken has one."""
    body: dict[str, Any] = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    if code:
        body["code"] = code
    if field:
        body["field"] = field
    if details:
        body["errors"] = details
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


def wants_json(request: Request) -> bool:
    """REST and htmx get problem JSON; a browser's own navigation gets a page."""
    return _is_rest(request) or is_htmx(request)


def _is_rest(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/v1/"))


def failure(
    request: Request,
    status: int,
    detail: str,
    *,
    field: str | None = None,
    code: str | None = None,
    details: list[ErrorDetail] | None = None,
) -> Response:
    """The failure in the form the client reads."""
    if wants_json(request):
        return problem(status, detail, field=field, code=code, details=details)
    if status != HTTPStatus.SERVICE_UNAVAILABLE:
        request.app.state.introduce(request)
    return render(request, "errors/page.html", {"status": status, "message": detail}, status=status)


def _studio_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StudioError)
    if error.leads_to is not None and is_htmx(request) and not _is_there(error.leads_to, request):
        # Its own status: what a 2xx told scripts to be stored would be forgotten by them.
        headers = {"HX-Redirect": _and_back(error.leads_to, request)}
        return Response(status_code=error.status, headers=headers)
    if error.leads_to is not None and not wants_json(request):
        return RedirectResponse(_and_back(error.leads_to, request), status_code=HTTPStatus.SEE_OTHER)
    if isinstance(error, Unauthenticated):
        response = problem(error.status, error.translated())
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    told = failure(
        request,
        error.status,
        error.translated(),
        field=error.field,
        code=error.code,
        details=error.details,
    )
    if error.retry_after is not None:
        told.headers["Retry-After"] = str(error.retry_after)
    return told


def _is_there(path: str, request: Request) -> bool:
    """Whether the person sees that page already: led there again and again, nobody could type a word on it."""
    return path_of(request.headers.get("hx-current-url", "")).partition("?")[0] == path


def _and_back(path: str, request: Request) -> str:
    """The address of a page that helps, which leads back to the one that the person sees now."""
    if is_htmx(request):
        page = request.headers.get("hx-current-url", "")
    elif request.method in SAFE_METHODS:
        page = str(request.url)
    else:
        # Back to the page with the form, which its tab fills in again (static/js/typed.js).
        page = request.headers.get("referer", "")
    target = path_of(page)
    return path if target == "/" else f"{path}?next={quote(target, safe='/')}"


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if not wants_json(request) and all(wrong["loc"][:1] == ("path",) for wrong in error.errors()):
        # For whoever typed it an address with a word for a number is one that does not exist.
        return failure(request, HTTPStatus.NOT_FOUND, gettext(_STATUS_MESSAGES[HTTPStatus.NOT_FOUND]))
    labels = {} if _is_rest(request) else _labels(request)
    details: list[ErrorDetail] = [
        {"field": wrong.field, "message": say(wrong.sentence)}
        for wrong in wrong_fields(error.errors()[:_WRONG_FIELDS], labels=labels)
    ]
    text = gap().join(item["message"] for item in details)
    return failure(request, HTTPStatus.UNPROCESSABLE_ENTITY, text, details=details)


def _labels(request: Request) -> dict[str, str]:
    """What people read beside the fields of the form that they sent: the titles of what its route takes."""
    titles: dict[str, str] = {}
    route = request.scope["route"]
    waiting = [(route.made_for(request.app) if isinstance(route, DeclaredRoute) else route).dependant]
    while waiting:
        dependant = waiting.pop()
        waiting += dependant.dependencies
        fields = [*dependant.body_params, *dependant.query_params]
        titles |= {one.alias: gettext(title) for one in fields if (title := one.field_info.title)}
    return titles


def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    cause = error.__cause__
    if cause is not None and (tells_full_disk(cause) or tells_protected_disk(cause)):
        # What could not be kept while a body came in is told as one that cannot be read.
        return _disk(request, cause)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and is_opened(request):
        return RedirectResponse(page_above(request), status_code=HTTPStatus.SEE_OTHER)
    message = _STATUS_MESSAGES.get(HTTPStatus(error.status_code))
    text, code = gettext(message) if message else str(error.detail), getattr(error, "code", None)
    response = failure(request, error.status_code, text, code=code)
    response.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(_allowed(request, response.headers.get("Allow", "")))
    return response


def _allowed(request: Request, told: str) -> list[str]:
    """Every verb that the request's address takes. What the router told is of the first route alone."""
    found = {verb.strip() for verb in told.split(",")}
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= set(getattr(route, "methods", None) or ())
    return sorted(found | {"HEAD"} if "GET" in found else found)


def _unstorable(request: Request, _error: Exception) -> Response:
    return failure(request, HTTPStatus.UNPROCESSABLE_ENTITY, gettext(UNSTORABLE))


def _overtaken(request: Request, error: Exception) -> Response:
    assert isinstance(error, IntegrityError)
    # The statement has no values in it; the driver's own words may repeat what was to be stored.
    logger.warning("overtaken: %s in %s", type(error.orig).__name__, error.statement)
    return failure(request, HTTPStatus.CONFLICT, gettext(_OVERTAKEN))


def _unavailable(request: Request, error: Exception) -> Response:
    # A line and not where it came from: it comes with every request until the database is back, on a disk that may be full.
    logger.error("the database is out of reach at %s %s: %s", request.method, request.url.path, brief(error))
    return _try_again(request, outage_sentence(error))


def _disk(request: Request, error: BaseException) -> Response:
    """A file, or a temporary database of a reader. Whatever is wrong with one that no operator can mend is unexpected."""
    if tells_protected_disk(error):
        logger.error("a disk cannot be written at %s %s: %s", request.method, request.url.path, error)
        return _try_again(request, DISK_PROTECTED)
    if not tells_full_disk(error):
        return _unexpected(request, error)
    logger.error("a disk is full at %s %s: %s", request.method, request.url.path, error)
    return _try_again(request, DISK_FULL, code=FailureCode.DISK_FULL)


def _crowded(request: Request, _error: Exception) -> Response:
    logger.warning("no database connection was free for %s %s", request.method, request.url.path)
    return _try_again(request, CROWDED)


def _try_again(request: Request, message: str, *, code: str | None = None) -> Response:
    response = failure(request, HTTPStatus.SERVICE_UNAVAILABLE, gettext(message), code=code)
    response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def _unexpected(request: Request, error: BaseException) -> Response:
    logger.error("unexpected error at %s %s", request.method, request.url.path, exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return failure(request, status, gettext(_STATUS_MESSAGES[status]))


def install_error_handlers(app: FastAPI) -> None:
    """Every failure leaves through one of these."""
    app.add_exception_handler(StudioError, _studio_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(OperationalError, _unavailable)
    app.add_exception_handler(NoConnectionFree, _crowded)
    app.add_exception_handler(IntegrityError, _overtaken)
    app.add_exception_handler(OSError, _disk)
    app.add_exception_handler(sqlite3.OperationalError, _disk)
    for kind in UNSTORABLE_ERRORS:
        app.add_exception_handler(kind, _unstorable)
    app.add_exception_handler(Exception, _unexpected)
