"""Pages for those who are not signed in yet: sign in, first run, a new password from a link; language and theme."""

from typing import Annotated, Literal

from fastapi import Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlmodel import Session, select

from app.accounts import first_run, passwords, service, sessions
from app.accounts.access import SESSION_COOKIE, address_of, needs, open_before_password_change
from app.accounts.models import LOCAL_USER, Role, User
from app.accounts.permissions import Permission
from app.accounts.sign_in import PASSWORDS, Attempts, Visitor, begin, sign_in
from app.core.addresses import own_path, path_of
from app.core.database import reading, transaction
from app.core.errors import Conflict, Invalid, StudioError
from app.core.i18n import Locale, set_locale
from app.core.routing import Router
from app.core.settings import Settings
from app.core.slow_work import apart
from app.core.templating import render
from app.core.web import AppEngine, AppSettings, Db, public
from app.sentences import N_

router = Router()
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
    if not service.has_people(session):
        return RedirectResponse("/setup", status_code=303)
    had_begun = bool(request.cookies.get(SESSION_COOKIE)) and request.state.actor is None
    context = {"next": own_path(next), "error": None, "name": "", "has_ended": had_begun}
    return render(request, "accounts/login.html", context)


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
    old = request.cookies.get(SESSION_COOKIE, "")
    days = settings.session_days
    try:
        secret = sign_in(
            engine, attempts, name=name, password=password, visitor=_visitor(request), days=days, old=old
        )
    except StudioError as error:
        context = {"next": own_path(next), "error": error.translated(), "name": name, "has_ended": False}
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
    request: Request,
    session: Db,
    settings: AppSettings,
    code: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Sign in as the local admin with a one-time code from the terminal."""
    # The code is a file: it is looked at before the transaction begins.
    fits = first_run.take_sign_in_code(settings.data_dir, code)
    user = session.exec(select(User).where(User.name == LOCAL_USER)).first() if fits else None
    if user is None or user.id is None:
        raise Invalid(
            N_("This sign-in link was used already or is not the newest. The terminal shows a new one.")
        )
    secret = _begin(request, session, settings, user, "sign_in.link")
    return _signed_in(secret, settings, own_path(next))


@router.get("/login/reset", response_model=None)
@public
def reset_page(request: Request, engine: AppEngine, code: str = "") -> Response:
    """The form behind a reset link; looking at it does not use the link up."""
    return _reset_page(request, code, passwords.person_of_reset_code(engine, code))


@router.post("/login/reset", response_model=None)
@public
@apart(PASSWORDS)
def reset(
    request: Request,
    engine: AppEngine,
    settings: AppSettings,
    code: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
) -> Response:
    """Set the new password, which uses the link up, and sign in."""
    name = passwords.person_of_reset_code(engine, code)
    try:
        password_hash = passwords.hash_password(password)
    except StudioError as error:
        return _reset_page(request, code, name, error=error)
    with transaction(engine) as session:
        user = passwords.reset_password(session, code, password_hash)
        secret = _begin(request, session, settings, user, "password.reset")
    attempts: Attempts = request.app.state.attempts
    attempts.succeeded(name)
    return _signed_in(secret, settings, "/")


def _reset_page(request: Request, code: str, name: str, *, error: StudioError | None = None) -> HTMLResponse:
    context = {
        "code": code,
        "name": name,
        "error": error.translated() if error else None,
        "min_password_length": passwords.MIN_LENGTH,
    }
    return render(request, "accounts/reset.html", context, status=error.status if error else 200)


def _begin(request: Request, session: Session, settings: Settings, user: User, action: str) -> str:
    """Secret for the new cookie, which takes the place of the one this browser may have."""
    old = request.cookies.get(SESSION_COOKIE, "")
    return begin(session, user, _visitor(request), days=settings.session_days, action=action, old=old)


def _visitor(request: Request) -> Visitor:
    return Visitor(address_of(request), request.headers.get("user-agent", ""))


@router.post("/logout", response_model=None)
@needs(Permission.ACCOUNT_USE)
@open_before_password_change
def logout(
    request: Request,
    session: Db,
) -> Response:
    """End this browser's session."""
    sessions.end_login(session, request.cookies.get(SESSION_COOKIE, ""))
    response = RedirectResponse("/login", status_code=303)
    response.delete_cookie(SESSION_COOKIE)
    return response


@router.get("/setup", response_model=None)
@public
def setup_page(request: Request, session: Db, code: str = "") -> Response:
    """First run: make the admin account."""
    if service.has_people(session):
        return RedirectResponse("/login", status_code=303)
    return _setup_page(request, code)


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
        password_hash = passwords.hash_password(password)
        with transaction(engine) as session:
            _require_no_people(session)
            user = service.create_user(session, name=name, password_hash=password_hash, role=Role.ADMIN)
            secret = _begin(request, session, settings, user, "user.first")
    except _AlreadySetUp:
        raise
    except StudioError as error:
        return _setup_page(request, code, name, error=error)
    return _signed_in(secret, settings, "/")


def _setup_page(
    request: Request, code: str, name: str = "", *, error: StudioError | None = None
) -> HTMLResponse:
    context = {
        "code": code,
        "name": name,
        "errors": {error.field: error.translated()} if error else {},
        "min_password_length": passwords.MIN_LENGTH,
    }
    return render(request, "accounts/setup.html", context, status=422 if error else 200)


class _AlreadySetUp(Conflict):
    """Somebody made the first account before."""


def _require_no_people(session: Session) -> None:
    if service.has_people(session):
        raise _AlreadySetUp(N_("This installation already has an admin. Sign in."))


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
