"""The people of an installation, for its admins: add, change the role, reset passwords, close and reopen accounts."""

from typing import Annotated, Any, Final

from fastapi import Form, Request, Response
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from app.accounts import passwords, service, shown_once
from app.accounts.access import CurrentActor, needs
from app.accounts.models import LOCAL_USER, Role, User
from app.accounts.permissions import ROLE_WORDS, Permission, permissions_by_role
from app.accounts.service import Actor
from app.accounts.sign_in import PASSWORDS
from app.core.database import reading, transaction
from app.core.errors import StudioError
from app.core.i18n import gettext, translate
from app.core.routing import Router
from app.core.settings import Settings
from app.core.slow_work import apart
from app.core.templating import is_htmx, render, see, toast
from app.core.web import AppEngine, AppSettings, Db, base_url
from app.sentences import N_

router = Router(prefix="/people", include_in_schema=False)
_PATH: Final = "/people"


@router.get("")
@needs(Permission.PEOPLE_READ)
def people_page(request: Request, session: Db, actor: CurrentActor) -> HTMLResponse:
    """Everybody with an account, and the form to add one."""
    return _page(request, session, actor)


@router.post("", response_model=None)
@needs(Permission.PEOPLE_MANAGE)
@apart(PASSWORDS)
def add_person(
    request: Request,
    engine: AppEngine,
    settings: AppSettings,
    actor: CurrentActor,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    role: Annotated[Role, Form()] = Role.ANNOTATOR,
) -> Response:
    """Add a person, with a password that is handed over or else a link; what was typed stays when it is refused."""
    try:
        password_hash = passwords.hash_password(password) if password else passwords.unknown_hash()
        with transaction(engine) as session:
            user = service.add_person(session, actor, name=name, password_hash=password_hash, role=role)
            code = "" if password else passwords.new_reset_link(session, actor, user.id or 0)[1]
    except StudioError as error:
        with reading(engine) as session:
            return _page(request, session, actor, error=error, name=name, role=role)
    return _hand_over(request, settings, user, code) if code else see(_PATH)


@router.post("/{user_id}", response_model=None)
@needs(Permission.PEOPLE_MANAGE)
def change_person(
    request: Request,
    session: Db,
    actor: CurrentActor,
    user_id: int,
    role: Annotated[Role | None, Form()] = None,
    is_active: Annotated[bool | None, Form()] = None,
) -> Response:
    """Change the role, close or reopen the account; htmx gets the person's row again."""
    try:
        user = service.change_user(session, actor, user_id, role=role, is_active=is_active)
    except StudioError as error:
        if not is_htmx(request):
            raise
        session.rollback()
        # The row says again what is stored: the choice that was refused is taken back.
        return _row(request, actor, service.require_user(session, user_id), error.translated(), "error")
    if not is_htmx(request):
        return see(_PATH)
    said = translate(
        N_("The role of %(name)s is %(role)s now."),
        {"name": user.name, "role": gettext(ROLE_WORDS[user.role])},
    )
    return _row(request, actor, user, said, "success")


@router.post("/{user_id}/reset-link", response_model=None)
@needs(Permission.PEOPLE_MANAGE)
def make_reset_link(
    request: Request, session: Db, settings: AppSettings, actor: CurrentActor, user_id: int
) -> Response:
    """Make a link that sets a new password; the page shows it once."""
    user, code = passwords.new_reset_link(session, actor, user_id)
    return _hand_over(request, settings, user, code)


def _hand_over(request: Request, settings: Settings, user: User, code: str) -> Response:
    link = f"{base_url(request, settings)}{passwords.reset_path(code)}"
    return shown_once.see_once(_PATH, {"name": user.name, "link": link}, https=settings.https)


def _row(request: Request, actor: Actor, user: User, message: str, kind: str) -> HTMLResponse:
    response = render(request, "accounts/_person.html", {**_of_rows(actor), "person": user})
    response.headers.update(toast(message, kind=kind))
    return response


def _page(
    request: Request,
    session: Session,
    actor: Actor,
    *,
    error: StudioError | None = None,
    name: str = "",
    role: Role = Role.ANNOTATOR,
) -> HTMLResponse:
    context = {
        **_of_rows(actor),
        "people": service.list_users(session),
        "errors": {error.field: error.translated()} if error else {},
        "name": name,
        "role": role,
        "powers": permissions_by_role(),
        "min_password_length": passwords.MIN_LENGTH,
        "reset": shown_once.shown(request),
    }
    response = render(request, "accounts/people.html", context, status=error.status if error else 200)
    shown_once.forget(request, response, _PATH)
    return response


def _of_rows(actor: Actor) -> dict[str, Any]:
    return {
        "own_id": actor.user_id,
        "local_user": LOCAL_USER,
        "roles": list(Role),
        "reset_hours": passwords.RESET_LINK_HOURS,
    }
