"""The people of an installation, for its admins: add, change the role, close and reopen accounts."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlmodel import Session

from app.accounts import service
from app.accounts.access import CurrentActor, needs
from app.accounts.models import LOCAL_USER, Role
from app.accounts.permissions import Permission, permissions_by_role
from app.accounts.service import Actor
from app.accounts.sign_in import PASSWORDS
from app.core.database import reading, transaction
from app.core.errors import StudioError
from app.core.slow_work import apart
from app.core.templating import render
from app.core.web import AppEngine, Db

router = APIRouter(prefix="/people", include_in_schema=False)


@router.get("")
@needs(Permission.PEOPLE_MANAGE)
def people_page(request: Request, session: Db, actor: CurrentActor) -> HTMLResponse:
    """Everybody with an account, and the form to add one."""
    return _page(request, session, actor)


@router.post("", response_model=None)
@needs(Permission.PEOPLE_MANAGE)
@apart(PASSWORDS)
def add_person(
    request: Request,
    engine: AppEngine,
    actor: CurrentActor,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    role: Annotated[Role, Form()] = Role.ANNOTATOR,
) -> Response:
    """Add a person; what was typed stays when it is refused."""
    try:
        password_hash = service.hash_password(password)
        with transaction(engine) as session:
            service.add_person(session, actor, name=name, password_hash=password_hash, role=role)
    except StudioError as error:
        with reading(engine) as session:
            return _page(request, session, actor, error=error, name=name, role=role)
    return RedirectResponse("/people", status_code=303)


@router.post("/{user_id}", response_model=None)
@needs(Permission.PEOPLE_MANAGE)
def change_person(
    session: Db,
    actor: CurrentActor,
    user_id: int,
    role: Annotated[Role | None, Form()] = None,
    is_active: Annotated[bool | None, Form()] = None,
) -> Response:
    """Change the role, close or reopen the account."""
    service.change_user(session, actor, user_id, role=role, is_active=is_active)
    return RedirectResponse("/people", status_code=303)


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
        "people": service.list_users(session),
        "own_id": actor.user_id,
        "local_user": LOCAL_USER,
        "roles": list(Role),
        "errors": {error.field: error.translated()} if error else {},
        "name": name,
        "role": role,
        "powers": permissions_by_role(),
        "min_password_length": service.MIN_PASSWORD_LENGTH,
    }
    return render(request, "accounts/people.html", context, status=error.status if error else 200)
