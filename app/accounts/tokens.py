"""API tokens: made in a browser, for a scope, and never with more rights than their owner has."""

import secrets
from datetime import timedelta
from typing import Final

from sqlmodel import Session, col, select

from app.accounts.models import ApiToken, Role, Scope, User
from app.accounts.permissions import offered_scopes
from app.accounts.service import SECRET_BYTES, Actor, digest, readable_name, record
from app.accounts.who import name_by_token
from app.core.database import utc_now
from app.core.errors import Invalid, NotFound, Refused, Unauthenticated
from app.sentences import N_

TOKEN_PREFIX: Final = "sft_"
_UNKNOWN: Final = N_("Nobody has this API token. Copy it whole, or make a new one on the Account page.")
_EXPIRED: Final = N_("The API token “%(name)s” expired on %(day)s. Make a new one on the Account page.")
_REVOKED: Final = N_("The API token “%(name)s” was revoked on %(day)s. Make a new one on the Account page.")
_CLOSED: Final = N_("The account of the API token “%(name)s” is closed. Ask an admin.")


def create_token(
    session: Session, owner: Actor, *, name: str, scope: Scope = Scope.ALL, days: int = 90
) -> tuple[ApiToken, str]:
    """A new API token and its secret, which is shown once and never stored. Raises Invalid."""
    name = readable_name(name)
    if scope not in offered_scopes(owner.role):
        raise Invalid(N_("A token cannot have more rights than you have."), field="scope")
    secret = TOKEN_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    token = ApiToken(
        user_id=owner.user_id,
        name=name,
        # It keeps to this one also when its owner gets a higher role.
        role=owner.role,
        scope=scope,
        secret_hash=digest(secret),
        expires_at=utc_now() + timedelta(days=days),
    )
    session.add(token)
    session.flush()
    record(session, owner, "token.create", f"token/{token.id}")
    return token, secret


def actor_of_token(session: Session, secret: str) -> Actor | None:
    """Who a bearer token acts for, None when unknown, expired or revoked."""
    token = token_of(session, secret)
    user = session.get(User, token.user_id) if token else None
    if token is None or user is None or not user.is_active or not is_valid(token):
        return None
    assert user.id is not None
    return Actor(
        user.id,
        name_by_token(user.name, token.name),
        lower_role(token.role, user.role),
        "token",
        token.id,
        scope=token.scope,
        must_change_password=user.must_change_password,
    )


def why_refused(session: Session, secret: str) -> Unauthenticated:
    """What whoever sends a token is told that `actor_of_token` has nobody for. Only its holder knows its secret."""
    token = token_of(session, secret)
    if token is None:
        return Unauthenticated(_UNKNOWN)
    user = session.get(User, token.user_id)
    if user is None or not user.is_active:
        return Unauthenticated(_CLOSED, name=token.name)
    if token.revoked_at is not None:
        return Unauthenticated(_REVOKED, name=token.name, day=f"{token.revoked_at:%Y-%m-%d}")
    assert token.expires_at is not None
    return Unauthenticated(_EXPIRED, name=token.name, day=f"{token.expires_at:%Y-%m-%d}")


def token_of(session: Session, secret: str) -> ApiToken | None:
    """The token of this secret, whether it is valid or not."""
    return session.exec(select(ApiToken).where(ApiToken.secret_hash == digest(secret))).first()


def is_valid(token: ApiToken) -> bool:
    """Neither revoked nor expired."""
    return token.revoked_at is None and (token.expires_at is None or token.expires_at >= utc_now())


def lower_role(one: Role, other: Role) -> Role:
    """The one of less power."""
    return one if other.includes(one) else other


def list_tokens(session: Session, actor: Actor) -> list[ApiToken]:
    """The actor's own tokens, newest first."""
    statement = select(ApiToken).where(ApiToken.user_id == actor.user_id).order_by(col(ApiToken.id).desc())
    return list(session.exec(statement))


def revoke_token(session: Session, actor: Actor, token_id: int) -> None:
    """End a token of one's own at once; a token ends no other than itself. Raises NotFound and Refused."""
    token = session.get(ApiToken, token_id)
    if token is None or token.user_id != actor.user_id:
        raise NotFound(N_("There is no such token."))
    if actor.via == "token" and token_id != actor.token_id:
        raise Refused(N_("A token can revoke only itself. Revoke the others on the Account page."))
    if token.revoked_at is None:
        token.revoked_at = utc_now()
        record(session, actor, "token.revoke", f"token/{token_id}")
