"""Pages of accounts: sign in, first run, tokens, language."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlmodel import Session, select

from app.accounts import first_run, service
from app.accounts.access import SESSION_COOKIE, CurrentActor, needs
from app.accounts.models import LOCAL_USER, Role, User
from app.accounts.permissions import Permission
from app.accounts.sign_in import PASSWORDS, Attempts, sign_in
from app.core.addresses import own_path, path_of
from app.core.database import reading, transaction
from app.core.errors import Conflict, Invalid, StudioError
from app.core.i18n import Locale, set_locale
from app.core.settings import Settings
from app.core.slow_work import apart
from app.core.templating import render
from app.core.web import AppEngine, AppSettings, Db, public
from app.sentences import N_

router = APIRouter()
_ONE_YEAR_SECONDS = 365 * 24 * 3600


def _signed_in(secret: str, settings: Settings, target: str) -> Response:
    response = RedirectResponse(target, status_code=303)
    response.set_cookie(
        SESSION_COOKIE,
        secret,
        max_age=settings.session_days * 24 * 3600,
        httponly=True,
        samesite="lax",
        secure=settings.https,
    )
    return response


@router.get("/login", response_model=None)
@public
def login_page(request: Request, session: Db, next: str = "/") -> Response:
    """Sign-in form; a fresh installation is sent to its first-run page."""
    if not _has_people(session):
        return RedirectResponse("/setup", status_code=303)
    return render(request, "accounts/login.html", {"next": own_path(next), "error": None, "name": ""})


@router.post("/login", response_model=None)
@public
@apart(PASSWORDS)
def login(
    request: Request,
    engine: AppEngine,
    settings: AppSettings,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Check the password and start a session."""
    attempts: Attempts = request.app.state.attempts
    address = request.client.host if request.client else ""
    days = settings.session_days
    try:
        secret = sign_in(engine, attempts, name=name, password=password, address=address, days=days)
    except StudioError as error:
        context = {"next": own_path(next), "error": error.translated(), "name": name}
        response = render(request, "accounts/login.html", context, status=error.status)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response
    return _signed_in(secret, settings, own_path(next))


@router.get("/login/link", response_model=None)
@public
def login_link_page(request: Request, code: str = "", next: str = "/") -> HTMLResponse:
    """One button that uses up a sign-in link; a GET alone must not (previews fetch links)."""
    return render(request, "accounts/link.html", {"code": code, "next": own_path(next)})


@router.post("/login/link", response_model=None)
@public
def login_link(
    session: Db, settings: AppSettings, code: Annotated[str, Form()] = "", next: Annotated[str, Form()] = "/"
) -> Response:
    """Sign in as the local admin with a one-time code from the terminal."""
    # The code is a file: it is looked at before the transaction begins.
    fits = first_run.take_sign_in_code(settings.data_dir, code)
    user = session.exec(select(User).where(User.name == LOCAL_USER)).first() if fits else None
    if user is None or user.id is None:
        raise Invalid(
            N_("This sign-in link was used already or is not the newest. The terminal shows a new one.")
        )
    return _signed_in(service.start_login(session, user.id, settings.session_days), settings, own_path(next))


@router.post("/logout", response_model=None)
@needs(Permission.ACCOUNT_USE)
def logout(
    request: Request,
    session: Db,
) -> Response:
    """End this browser's session."""
    service.end_login(session, request.cookies.get(SESSION_COOKIE, ""))
    response = RedirectResponse("/login", status_code=303)
    response.delete_cookie(SESSION_COOKIE)
    return response


@router.get("/setup", response_model=None)
@public
def setup_page(request: Request, session: Db, code: str = "") -> Response:
    """First run: make the admin account."""
    if _has_people(session):
        return RedirectResponse("/login", status_code=303)
    return render(request, "accounts/setup.html", {"code": code, "error": None, "name": ""})


@router.post("/setup", response_model=None)
@public
@apart(PASSWORDS)
def setup(
    request: Request,
    engine: AppEngine,
    settings: AppSettings,
    code: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
) -> Response:
    """Make the admin account; needs the code from the terminal."""
    with reading(engine) as session:
        _require_no_people(session)
    try:
        if not first_run.check_setup_code(settings.data_dir, code):
            raise Invalid(
                N_("The setup code is wrong. The terminal that runs the server shows it."), field="code"
            )
        password_hash = service.hash_password(password)
        with transaction(engine) as session:
            _require_no_people(session)
            user = service.create_user(session, name=name, password_hash=password_hash, role=Role.ADMIN)
            assert user.id is not None
            secret = service.start_login(session, user.id, settings.session_days)
    except _AlreadySetUp:
        raise
    except StudioError as error:
        context = {"code": code, "error": error.translated(), "name": name}
        return render(request, "accounts/setup.html", context, status=422)
    return _signed_in(secret, settings, "/")


class _AlreadySetUp(Conflict):
    """Somebody made the first account before."""


def _require_no_people(session: Session) -> None:
    if _has_people(session):
        raise _AlreadySetUp(N_("This installation already has an admin. Sign in."))


def _has_people(session: Session) -> bool:
    """Whether anybody but the command line's own account exists."""
    return session.exec(select(User).where(User.name != LOCAL_USER)).first() is not None


@router.get("/account")
@needs(Permission.ACCOUNT_USE)
def account_page(request: Request, session: Db, actor: CurrentActor) -> HTMLResponse:
    """One's own API tokens."""
    return _account(request, session, actor, secret=None)


@router.post("/account/tokens")
@needs(Permission.ACCOUNT_USE)
def create_token(
    request: Request,
    session: Db,
    actor: CurrentActor,
    name: Annotated[str, Form()],
    role: Annotated[Role, Form()],
    days: Annotated[int, Form(ge=1, le=3650)] = 90,
) -> HTMLResponse:
    """Make a token and show its secret this once."""
    secret = service.create_token(session, actor, name=name, role=role, days=days)[1]
    service.record(session, actor, "token.create", name[:80])
    return _account(request, session, actor, secret=secret)


@router.post("/account/tokens/{token_id}/revoke", response_model=None)
@needs(Permission.ACCOUNT_USE)
def revoke_token(session: Db, actor: CurrentActor, token_id: int) -> Response:
    """End a token at once."""
    service.revoke_token(session, actor, token_id)
    return RedirectResponse("/account", status_code=303)


def _account(request: Request, session: Db, actor: CurrentActor, *, secret: str | None) -> HTMLResponse:
    roles = [role for role in Role if actor.role.includes(role)]
    context = {"tokens": service.list_tokens(session, actor), "secret": secret, "roles": roles}
    return render(request, "accounts/account.html", context)


@router.post("/preferences/language", response_model=None)
@public
def choose_language(request: Request, language: Annotated[Locale, Form()]) -> Response:
    """Remember the language and go back to where the person was."""
    set_locale(language)
    response = RedirectResponse(path_of(request.headers.get("referer", "/")), status_code=303)
    response.set_cookie("locale", language, max_age=_ONE_YEAR_SECONDS, samesite="lax")
    return response


@router.post("/preferences/theme", response_model=None)
@public
def choose_theme(request: Request, theme: Annotated[Literal["auto", "light", "dark"], Form()]) -> Response:
    """Remember the theme for pages without JavaScript."""
    response = RedirectResponse(path_of(request.headers.get("referer", "/")), status_code=303)
    response.set_cookie("theme", theme, max_age=_ONE_YEAR_SECONDS, samesite="lax")
    return response
