"""REST for accounts: who am I, one's own tokens, and the people for admins.

Tokens are made on the Account page only: a stolen token must not be able to make itself a successor.
"""

from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from app.accounts import service
from app.accounts.access import CurrentActor, needs
from app.accounts.models import Role
from app.accounts.permissions import Permission
from app.accounts.sign_in import PASSWORDS
from app.core.database import transaction
from app.core.slow_work import apart
from app.core.web import AppEngine, Db

router = APIRouter(prefix="/api/v1", tags=["accounts"])


class MeOut(BaseModel):
    """Who the token or cookie belongs to, and what it may do."""

    name: str
    role: Role


class TokenOut(BaseModel):
    """A token without its secret."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class PersonIn(BaseModel):
    """A person to add."""

    model_config = ConfigDict(extra="forbid")

    name: str
    password: str
    role: Role = Role.ANNOTATOR


class PersonChange(BaseModel):
    """What to change of a person; absent fields stay."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    is_active: bool | None = None


class PersonOut(BaseModel):
    """A person."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    role: Role
    is_active: bool
    created_at: datetime


@router.get("/me")
@needs(Permission.ACCOUNT_USE)
def who_am_i(actor: CurrentActor) -> MeOut:
    """The caller's name and role."""
    return MeOut(name=actor.name, role=actor.role)


@router.get("/tokens")
@needs(Permission.ACCOUNT_USE)
def list_tokens(session: Db, actor: CurrentActor) -> list[TokenOut]:
    """One's own tokens."""
    return [TokenOut.model_validate(token) for token in service.list_tokens(session, actor)]


@router.delete("/tokens/{token_id}", status_code=204)
@needs(Permission.ACCOUNT_USE)
def revoke_token(session: Db, actor: CurrentActor, token_id: int) -> None:
    """End one of one's own tokens at once."""
    service.revoke_token(session, actor, token_id)


@router.get("/people")
@needs(Permission.PEOPLE_MANAGE)
def list_people(
    session: Db,
) -> list[PersonOut]:
    """Everybody with an account."""
    return [PersonOut.model_validate(user) for user in service.list_users(session)]


@router.post("/people", status_code=201)
@needs(Permission.PEOPLE_MANAGE)
@apart(PASSWORDS)
def add_person(request: Request, engine: AppEngine, actor: CurrentActor, body: PersonIn) -> PersonOut:
    """Add a person."""
    password_hash = service.hash_password(body.password)
    with transaction(engine) as session:
        user = service.add_person(session, actor, name=body.name, password_hash=password_hash, role=body.role)
        return PersonOut.model_validate(user)


@router.patch("/people/{user_id}")
@needs(Permission.PEOPLE_MANAGE)
def change_person(session: Db, actor: CurrentActor, user_id: int, body: PersonChange) -> PersonOut:
    """Change the role, close or reopen the account."""
    return PersonOut.model_validate(
        service.change_user(session, actor, user_id, role=body.role, is_active=body.is_active)
    )
