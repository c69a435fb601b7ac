"""Default-deny for every route: who is asking, and whether a browser's request is its own.

Bearer tokens are read under /api and /v1 only and cookies everywhere else plus the API's own pages' calls;
a request that carries a token never looks at cookies. A route is marked `@public` or names the permission it `@needs`;
one with neither answers nobody.
"""

import hmac
import threading
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends, Request
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from app.accounts.activity import Activity
from app.accounts.models import ADDRESS_LENGTH, ApiToken, LoginSession, User
from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.accounts.sessions import actor_of_cookie, csrf_token_of
from app.accounts.tokens import actor_of_token, is_valid, why_refused
from app.core.addresses import split_address
from app.core.database import reading, utc_now
from app.core.errors import PasswordDue, Refused, Unauthenticated
from app.core.unstorable import UNSTORABLE_ERRORS
from app.core.web import SAFE_METHODS, Endpoint, Places, is_public
from app.sentences import N_

SESSION_COOKIE: Final = "sft_session"
# How many callers are looked up in the database at the same time.
LOOKUPS: Final = 8
# And for pages about failures, beside them.
INTRODUCTIONS: Final = 2
_INTRODUCING: Final = threading.BoundedSemaphore(INTRODUCTIONS)
# And for who sends a large file.
SENDERS: Final = 2
_KNOWING: Final = threading.BoundedSemaphore(SENDERS)
_CSRF_REFUSED: Final = N_(
    "The request did not come from this page, or the page is old. Reload it and try again."
)
_CHANGE_FIRST: Final = N_(
    "Somebody else knows your password. Sign in with a browser and choose one of your own first."
)
_PAGE: Final = N_("API tokens count under /api and /v1. Leave the token out here, or ask the API.")
_NO_BEARER: Final = N_("An API token is sent as: Authorization: Bearer sft_…")
_SIGN_IN: Final = N_("Sign in first, or send an API token: Authorization: Bearer …")


def find_actor(request: Request) -> None:
    """Sets `request.state.actor`, or refuses. A plain function: it reads the database, which the event loop must not."""
    request.state.actor = None
    authorization = request.headers.get("authorization", "")
    if authorization:
        _authenticate_token(request, authorization)
        return
    _check_origin(request)
    secret = request.cookies.get(SESSION_COOKIE, "")
    with reading(request.app.state.engine) as session:
        request.state.actor = actor_of_cookie(session, secret)
    if request.state.actor is not None:
        request.state.csrf_token = csrf_token_of(secret)
    else:
        _require_public(request)


def _meet_stranger(request: Request) -> None:
    """As `find_actor` for whoever sends nothing that could be looked up, and so waits for nobody who is."""
    request.state.actor = None
    _check_origin(request)
    _require_public(request)


def _require_public(request: Request) -> None:
    if not is_public(getattr(request.scope.get("route"), "endpoint", None)):
        raise Unauthenticated(_SIGN_IN)


async def authenticate(request: Request) -> None:
    """Runs before every route: who is asking is known, a browser's change has to come from our own page, and the
    route's permission is there.
    """
    if request.headers.get("authorization") or request.cookies.get(SESSION_COOKIE):
        lookups: Places = request.app.state.lookups
        async with lookups.place():
            await run_in_threadpool(find_actor, request)
    else:
        _meet_stranger(request)
    actor: Actor | None = request.state.actor
    if actor is None:
        return
    request.state.may = actor.may
    activity: Activity = request.app.state.activity
    activity.note(actor, address_of(request))
    if actor.via == "session" and request.method not in SAFE_METHODS:
        await _check_csrf(request)
    endpoint = request.scope["route"].endpoint
    if actor.must_change_password and not (is_public(endpoint) or _is_open_before(endpoint)):
        raise PasswordDue(_CHANGE_FIRST)
    if not is_public(endpoint):
        actor.require(_permission_of_route(endpoint))


def introduce(request: Request) -> None:
    """Who asks, for a page about a failure that came before anybody was known: an address that does not exist, say.

    Never refuses: whoever cannot be looked up now sees the page as a stranger does.
    """
    secret = request.cookies.get(SESSION_COOKIE)
    if not secret or getattr(request.state, "actor", None) is not None:
        return
    if not _INTRODUCING.acquire(blocking=False):
        return
    try:
        with reading(request.app.state.engine) as session:
            actor = actor_of_cookie(session, secret)
    except (SQLAlchemyError, *UNSTORABLE_ERRORS):
        return
    finally:
        _INTRODUCING.release()
    if actor is not None:
        request.state.actor, request.state.may = actor, actor.may
        request.state.csrf_token = csrf_token_of(secret)


def knows(request: Request) -> bool:
    """Whether somebody who is signed in, or a token, sends this; asked before it is known what for."""
    with _KNOWING:
        if "authorization" in request.headers:
            try:
                _authenticate_token(request, request.headers["authorization"])
            except Unauthenticated:
                return False
            return True
        secret = request.cookies.get(SESSION_COOKIE)
        if not secret:
            return False
        with reading(request.app.state.engine) as session:
            return actor_of_cookie(session, secret) is not None


def is_still_there(session: Session, actor: Actor) -> bool:
    """Whether the sign-in or the token that somebody came with holds now, for what goes on after a request began."""
    user = session.get(User, actor.user_id)
    if user is None or not user.is_active:
        return False
    if actor.via == "token":
        token = session.get(ApiToken, actor.token_id)
        return token is not None and is_valid(token)
    login = session.get(LoginSession, actor.login_id)
    return login is not None and login.expires_at >= utc_now()


def address_of(request: Request) -> str:
    """Where the request came from, as long as it is kept; empty where the server cannot tell. A proxy may send any text."""
    return request.client.host[:ADDRESS_LENGTH] if request.client else ""


def _authenticate_token(request: Request, authorization: str) -> None:
    scheme, _, secret = authorization.partition(" ")
    request.state.actor = None
    if not request.url.path.startswith(("/api/", "/v1/")):
        raise Unauthenticated(_PAGE)
    if scheme.lower() != "bearer":
        raise Unauthenticated(_NO_BEARER)
    with reading(request.app.state.engine) as session:
        request.state.actor = actor_of_token(session, secret.strip())
        if request.state.actor is None:
            raise why_refused(session, secret.strip())


def _check_origin(request: Request) -> None:
    """A change that a browser sends comes from a page of ours."""
    if request.method in SAFE_METHODS:
        return
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Refused(_CSRF_REFUSED)
    origin = request.headers.get("origin")
    if origin:
        parts = split_address(origin)
        if parts is None or parts.netloc != request.headers.get("host"):
            raise Refused(_CSRF_REFUSED)


async def _check_csrf(request: Request) -> None:
    sent: object = request.headers.get("x-csrf-token")
    if sent is None and request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    ):
        sent = (await request.form()).get("csrf_token")
    if (
        sent is None
        or isinstance(sent, UploadFile)
        or not hmac.compare_digest(str(sent).encode(errors="replace"), request.state.csrf_token.encode())
    ):
        raise Refused(_CSRF_REFUSED)


def current_actor(request: Request) -> Actor:
    """The signed-in person or script. Raises Unauthenticated."""
    actor: Actor | None = request.state.actor
    if actor is None:
        raise Unauthenticated(_SIGN_IN)
    return actor


# A coroutine, as it waits for nothing: a plain function would take a thread of the pool.
async def _current_actor(request: Request) -> Actor:
    return current_actor(request)


CurrentActor = Annotated[Actor, Depends(_current_actor)]


def needs(permission: Permission) -> Callable[[Endpoint], Endpoint]:
    """Mark an endpoint with the permission that whoever asks must have."""

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.__permission__ = permission  # type: ignore[attr-defined]
        return endpoint

    return mark


def open_before_password_change(endpoint: Endpoint) -> Endpoint:
    """Mark an endpoint that answers also those who still have the password that was handed over to them."""
    endpoint.__before_password_change__ = True  # type: ignore[attr-defined]
    return endpoint


def _is_open_before(endpoint: object) -> bool:
    return getattr(endpoint, "__before_password_change__", False) is True


def permission_of(endpoint: object) -> Permission | None:
    """The permission an endpoint needs; None where it carries no such mark."""
    found: Permission | None = getattr(endpoint, "__permission__", None)
    return found


def _permission_of_route(endpoint: object) -> Permission:
    permission = permission_of(endpoint)
    if permission is None:
        raise Refused(N_("Nobody may do this: the route names no permission."))
    return permission
