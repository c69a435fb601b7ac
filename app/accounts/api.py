"""REST for accounts: who am I, one's own tokens, sign-ins and password, and the people and the audit trail for admins.

What would let whoever found a token stay, or become more than it, answers browsers only: tokens are made, passwords
changed and people managed by somebody who signed in, or with `sft-studio people` on the server's own machine.
"""

from datetime import datetime
from typing import Annotated

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict

from app.accounts import audit, passwords, service, sessions, tokens
from app.accounts.access import CurrentActor, address_of, needs, open_before_password_change
from app.accounts.audit import AuditFilter
from app.accounts.changing import change_password
from app.accounts.models import Role, Scope
from app.accounts.permissions import Permission
from app.accounts.sign_in import PASSWORDS
from app.core.database import transaction
from app.core.routing import Router
from app.core.slow_work import apart
from app.core.web import AppEngine, AppSettings, Db, base_url

router = Router(prefix="/api/v1", tags=["accounts"])


class MeOut(BaseModel):
    """Who the token or cookie belongs to, and what it may do. `scope` is that of the token; `all` in a browser."""

    name: str
    role: Role
    scope: Scope


class TokenOut(BaseModel):
    """A token without its secret. `role` is its owner's when it was made; it never does more."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    role: Role
    scope: Scope
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    seen_at: datetime | None


class SessionOut(BaseModel):
    """A browser in which one is signed in. `browser` and `system` are empty where it is none that people know."""

    id: int
    created_at: datetime | None
    seen_at: datetime | None
    expires_at: datetime
    address: str
    browser: str
    system: str
    is_current: bool


class PasswordIn(BaseModel):
    """One's own new password, and the one until now."""

    model_config = ConfigDict(extra="forbid")

    old: str
    password: str
    end_others: bool = True


class PersonIn(BaseModel):
    """A person to add. The password is changed at the first sign-in."""

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
    must_change_password: bool
    created_at: datetime
    seen_at: datetime | None


class ResetLinkOut(BaseModel):
    """Sets a new password once, until it expires. Hand it to the person and to nobody else."""

    link: str
    expires_at: datetime


class AuditEventOut(BaseModel):
    """A line of the audit trail. `actor` is the name as it was, empty for a sign-in under a name that nobody has."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    created_at: datetime
    actor: str
    actor_user_id: int | None
    actor_token_id: int | None
    action: str
    subject: str
    address: str | None


class AuditOut(BaseModel):
    """Lines, the newest first; `next_before` asks for those that follow, null at the end."""

    events: list[AuditEventOut]
    next_before: int | None


@router.get("/me")
@needs(Permission.ACCOUNT_USE)
def who_am_i(actor: CurrentActor) -> MeOut:
    """The caller's name and role."""
    return MeOut(name=actor.name, role=actor.role, scope=actor.scope)


@router.get("/tokens")
@needs(Permission.ACCOUNT_USE)
def list_tokens(session: Db, actor: CurrentActor) -> list[TokenOut]:
    """One's own tokens."""
    return [TokenOut.model_validate(token) for token in tokens.list_tokens(session, actor)]


@router.delete("/tokens/{token_id}", status_code=204)
@needs(Permission.ACCOUNT_USE)
def revoke_token(session: Db, actor: CurrentActor, token_id: int) -> None:
    """End one of one's own tokens at once; a token ends itself only."""
    tokens.revoke_token(session, actor, token_id)


@router.get("/account/sessions")
@needs(Permission.ACCOUNT_USE)
def list_sessions(session: Db, actor: CurrentActor) -> list[SessionOut]:
    """Where one is signed in, the one that was seen last first."""
    found = []
    for login in sessions.list_logins(session, actor):
        assert login.id is not None
        browser, system = sessions.browser_of(login.agent)
        found.append(
            SessionOut(
                id=login.id,
                created_at=login.created_at,
                seen_at=login.seen_at,
                expires_at=login.expires_at,
                address=login.address,
                browser=browser,
                system=system,
                is_current=login.id == actor.login_id,
            )
        )
    return found


@router.delete("/account/sessions/{login_id}", status_code=204)
@needs(Permission.ACCOUNT_MANAGE)
def end_session(session: Db, actor: CurrentActor, login_id: int) -> None:
    """End one of one's own sign-ins at once."""
    sessions.end_one(session, actor, login_id)


@router.post("/account/sessions/end-others", status_code=204)
@needs(Permission.ACCOUNT_MANAGE)
def end_other_sessions(session: Db, actor: CurrentActor) -> None:
    """End all of one's own sign-ins but the one that asks."""
    sessions.end_others(session, actor)


@router.put("/account/password", status_code=204)
@needs(Permission.ACCOUNT_MANAGE)
@open_before_password_change
@apart(PASSWORDS)
def change_own_password(request: Request, engine: AppEngine, actor: CurrentActor, body: PasswordIn) -> None:
    """Change one's own password."""
    change_password(
        engine,
        request.app.state.attempts,
        actor,
        old=body.old,
        password=body.password,
        end_others=body.end_others,
        address=address_of(request),
    )


@router.get("/people")
@needs(Permission.PEOPLE_READ)
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
    password_hash = passwords.hash_password(body.password)
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


@router.post("/people/{user_id}/reset-link", status_code=201)
@needs(Permission.PEOPLE_MANAGE)
def make_reset_link(
    request: Request, session: Db, settings: AppSettings, actor: CurrentActor, user_id: int
) -> ResetLinkOut:
    """Make a link with which the person sets a new password; an older one of the same person ends."""
    user, code = passwords.new_reset_link(session, actor, user_id)
    assert user.reset_expires_at is not None
    link = f"{base_url(request, settings)}{passwords.reset_path(code)}"
    return ResetLinkOut(link=link, expires_at=user.reset_expires_at)


@router.get("/audit")
@needs(Permission.AUDIT_READ)
def read_audit(
    session: Db,
    person: Annotated[str, Query(max_length=80)] = "",
    action: Annotated[str, Query(max_length=60)] = "",
    subject: Annotated[str, Query(max_length=120)] = "",
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = audit.PAGE,
) -> AuditOut:
    """Who did what. `action` and `subject` are whole (`run.start`, `run/7`) or the part before the mark (`run`)."""
    events = audit.find_events(session, AuditFilter(person, action, subject), before=before, limit=limit)
    following = events[-1].id if len(events) == limit else None
    return AuditOut(events=[AuditEventOut.model_validate(event) for event in events], next_before=following)
