"""One's own account: the password, where one is signed in, and API tokens."""

from typing import Annotated, Any, Final

from fastapi import Form, Request, Response
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from app.accounts import passwords, sessions, shown_once, tokens
from app.accounts.access import CurrentActor, address_of, needs, open_before_password_change
from app.accounts.changing import change_password
from app.accounts.models import Scope
from app.accounts.permissions import Permission, offered_scopes
from app.accounts.service import Actor
from app.accounts.sign_in import PASSWORDS
from app.core.addresses import own_path
from app.core.errors import StudioError
from app.core.routing import Router
from app.core.settings import Settings
from app.core.slow_work import apart
from app.core.templating import render, see
from app.core.web import AppEngine, AppSettings, Db, base_url
from app.sentences import N_

router = Router(include_in_schema=False)
_PATH: Final = "/account"


@router.get("/account")
@needs(Permission.ACCOUNT_USE)
def account_page(request: Request, session: Db, settings: AppSettings, actor: CurrentActor) -> HTMLResponse:
    """Who one is here, one's browsers and tokens; a token that was just made, this once."""
    return _page(request, session, settings, actor)


@router.post("/account/tokens", response_model=None)
@needs(Permission.ACCOUNT_MANAGE)
def create_token(
    request: Request,
    session: Db,
    settings: AppSettings,
    actor: CurrentActor,
    name: Annotated[str, Form()] = "",
    scope: Annotated[Scope, Form()] = Scope.READ,
    days: Annotated[int, Form(ge=1, le=3650, title=N_("Valid for"))] = 90,
) -> Response:
    """Make a token; the page shows its secret once."""
    try:
        secret = tokens.create_token(session, actor, name=name, scope=scope, days=days)[1]
    except StudioError as error:
        session.rollback()
        typed = {"name": name, "scope": scope, "days": days}
        return _page(request, session, settings, actor, error=error, typed=typed)
    return shown_once.see_once(_PATH, {"token": secret}, https=settings.https)


@router.post("/account/tokens/{token_id}/revoke", response_model=None)
@needs(Permission.ACCOUNT_MANAGE)
def revoke_token(session: Db, actor: CurrentActor, token_id: int) -> Response:
    """End a token at once."""
    tokens.revoke_token(session, actor, token_id)
    return see(_PATH)


@router.post("/account/sessions/{login_id}/end", response_model=None)
@needs(Permission.ACCOUNT_MANAGE)
def end_session(session: Db, actor: CurrentActor, login_id: int) -> Response:
    """Sign out one of one's browsers."""
    sessions.end_one(session, actor, login_id)
    return see(_PATH)


@router.post("/account/sessions/end-others", response_model=None)
@needs(Permission.ACCOUNT_MANAGE)
def end_other_sessions(session: Db, actor: CurrentActor) -> Response:
    """Sign out every browser but this one."""
    sessions.end_others(session, actor)
    return see(_PATH)


@router.get("/account/password")
@needs(Permission.ACCOUNT_MANAGE)
@open_before_password_change
def password_page(request: Request, actor: CurrentActor, next: str = _PATH) -> HTMLResponse:
    """The form that changes one's own password."""
    return _password_page(request, actor, own_path(next))


@router.post("/account/password", response_model=None)
@needs(Permission.ACCOUNT_MANAGE)
@open_before_password_change
@apart(PASSWORDS)
def change_own_password(
    request: Request,
    engine: AppEngine,
    actor: CurrentActor,
    old: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    end_others: Annotated[bool, Form()] = False,
    next: Annotated[str, Form()] = _PATH,
) -> Response:
    """Change it, and go on to where the person wanted."""
    try:
        change_password(
            engine,
            request.app.state.attempts,
            actor,
            old=old,
            password=password,
            end_others=end_others,
            address=address_of(request),
        )
    except StudioError as error:
        return _password_page(request, actor, own_path(next), error=error)
    return see(own_path(next))


def _password_page(
    request: Request, actor: Actor, target: str, *, error: StudioError | None = None
) -> HTMLResponse:
    context = {
        "forced": actor.must_change_password,
        "next": target,
        "errors": {error.field or "old": error.translated()} if error else {},
        "min_password_length": passwords.MIN_LENGTH,
    }
    response = render(request, "accounts/password.html", context, status=error.status if error else 200)
    if error and error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _page(
    request: Request,
    session: Session,
    settings: Settings,
    actor: Actor,
    *,
    error: StudioError | None = None,
    typed: dict[str, Any] | None = None,
) -> HTMLResponse:
    context = {
        "tokens": tokens.list_tokens(session, actor),
        "valid": tokens.is_valid,
        "secret": shown_once.shown(request).get("token"),
        "base_url": base_url(request, settings),
        "scopes": offered_scopes(actor.role),
        "logins": [
            (login, sessions.browser_of(login.agent)) for login in sessions.list_logins(session, actor)
        ],
        "own_login": actor.login_id,
        "errors": {error.field: error.translated()} if error else {},
        "typed": {"name": "", "scope": Scope.READ, "days": 90, **(typed or {})},
    }
    response = render(request, "accounts/account.html", context, status=error.status if error else 200)
    shown_once.forget(request, response, _PATH)
    return response
