"""Rules of accounts: first run, signing in, tokens, the audit trail."""

import hashlib
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Final, Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlmodel import Session, col, select

from app.accounts.models import LOCAL_USER, ApiToken, AuditEvent, LoginSession, Role, User
from app.accounts.permissions import Permission, allows, refusal
from app.accounts.who import NAME_LENGTH, Who
from app.core.database import utc_now
from app.core.errors import Conflict, Invalid, NotFound
from app.sentences import N_

TOKEN_PREFIX: Final = "sft_"
MIN_PASSWORD_LENGTH: Final = 10
_SECRET_BYTES: Final = 32  # 256 bit
# Controls, marks of writing direction, joiners, line ends, and what is no character.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True)
class Actor:
    """Who makes a request: a person in a browser or a script with a token."""

    user_id: int
    name: str
    role: Role
    via: Literal["session", "token"]
    token_id: int | None = None

    @property
    def who(self) -> Who:
        """As rows keep it."""
        return Who(self.name[:NAME_LENGTH], self.user_id, self.token_id)

    @property
    def display_name(self) -> str:
        """Name shown in the page."""
        return self.name

    def may(self, permission: Permission) -> bool:
        """Whether the table of permissions lets this one do it."""
        return allows(self.role, permission)

    def require(self, permission: Permission) -> None:
        """Raises Refused, naming the role that is needed."""
        if not self.may(permission):
            raise refusal(permission)


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


def _digest(secret: str) -> str:
    # Secrets are 256 random bits, so a plain hash is enough; passwords get argon2.
    return hashlib.sha256(secret.encode()).hexdigest()


def hash_password(password: str) -> str:
    """What is stored of a password; takes a good part of a second, so never inside a transaction. Raises Invalid for a
    short one.
    """
    if len(password) < MIN_PASSWORD_LENGTH:
        raise Invalid(
            N_("The password needs at least %(count)d characters."),
            field="password",
            count=MIN_PASSWORD_LENGTH,
        )
    return _hasher().hash(password)


def readable_name(name: str) -> str:
    """Of a person or a token, as it is stored. Raises Invalid for one that does not show what it is."""
    name = name.strip()
    if not name or len(name) > NAME_LENGTH:
        raise Invalid(N_("Enter a name of 1 to 80 characters."), field="name")
    hidden = next((sign for sign in name if unicodedata.category(sign) in _UNSEEN), None)
    if hidden is not None:
        raise Invalid(
            N_("The name holds a character that cannot be seen (U+%(number)s). Type it again without it."),
            field="name",
            number=f"{ord(hidden):04X}",
        )
    return name


def name_key(name: str) -> str:
    """Two names with one key are one name to a reader."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def create_user(session: Session, *, name: str, password_hash: str, role: Role) -> User:
    """Add a person. Raises Invalid for an empty or long name or one with characters that nobody sees, Conflict for one
    that is taken, in whatever case it is written.
    """
    name = readable_name(name)
    taken = {name_key(other) for other in session.exec(select(User.name))} | {LOCAL_USER}
    if name_key(name) in taken:
        raise Conflict(N_("The name %(name)s is taken."), field="name", name=name)
    user = User(name=name, password_hash=password_hash, role=role)
    session.add(user)
    session.flush()
    return user


def add_person(session: Session, actor: Actor, *, name: str, password_hash: str, role: Role) -> User:
    """As `create_user`, by an admin."""
    user = create_user(session, name=name, password_hash=password_hash, role=role)
    record(session, actor, "user.add", f"user/{user.id}")
    return user


def list_users(session: Session) -> list[User]:
    """Everybody, in order of arrival."""
    return list(session.exec(select(User).order_by(col(User.id))))


def change_user(
    session: Session, actor: Actor, user_id: int, *, role: Role | None = None, is_active: bool | None = None
) -> User:
    """Change a person's role, or close or reopen the account. Closing ends all of its sessions and tokens for good.

    Raises Conflict for one's own account, since an installation must not lose its last admin by a slip, and for the
    account of the command line.
    """
    user = session.get(User, user_id)
    if user is None:
        raise NotFound(N_("There is no such person."))
    if user.id == actor.user_id:
        raise Conflict(N_("You cannot change your own role or close your own account. Ask another admin."))
    if user.name == LOCAL_USER:
        raise Conflict(
            N_("The account “local” belongs to the command line on the server. It stays open, and an admin.")
        )
    if role is not None:
        user.role = role
    if is_active is not None and is_active is not user.is_active:
        user.is_active = is_active
        # When reopening too: an account that an older version closed may still have some.
        _end_sessions_and_tokens(session, user_id)
    session.add(user)
    session.flush()
    record(session, actor, "user.change", f"user/{user_id}")
    return user


def _end_sessions_and_tokens(session: Session, user_id: int) -> None:
    for login in session.exec(select(LoginSession).where(LoginSession.user_id == user_id)):
        session.delete(login)
    for token in session.exec(select(ApiToken).where(ApiToken.user_id == user_id)):
        token.revoked_at = token.revoked_at or utc_now()
        session.add(token)


def password_fits(password_hash: str | None, password: str) -> bool:
    """Whether it is this one; takes a good part of a second, for None too, so never inside a transaction."""
    try:
        return _hasher().verify(password_hash or _dummy_hash(), password) and password_hash is not None
    except (VerifyMismatchError, InvalidHashError):
        return False


@cache
def _dummy_hash() -> str:
    return _hasher().hash(secrets.token_urlsafe())


def start_login(session: Session, user_id: int, days: int) -> str:
    """Secret for the cookie of a new login session."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    session.add(
        LoginSession(
            user_id=user_id, secret_hash=_digest(secret), expires_at=utc_now() + timedelta(days=days)
        )
    )
    return secret


def end_login(session: Session, secret: str) -> None:
    """Forget the login session of this cookie."""
    login = session.exec(select(LoginSession).where(LoginSession.secret_hash == _digest(secret))).first()
    if login:
        session.delete(login)


def actor_of_cookie(session: Session, secret: str) -> Actor | None:
    """Who the session cookie belongs to, None when unknown or expired."""
    row = session.exec(
        select(LoginSession, User)
        .join(User)
        .where(LoginSession.secret_hash == _digest(secret), col(User.is_active))
    ).first()
    if row is None or row[0].expires_at < utc_now():
        return None
    user = row[1]
    assert user.id is not None
    return Actor(user.id, user.name, user.role, "session")


def csrf_token_of(secret: str) -> str:
    """Token bound to a login session; without the cookie it cannot be computed."""
    return hashlib.sha256(f"csrf:{secret}".encode()).hexdigest()


def create_token(
    session: Session, owner: Actor, *, name: str, role: Role, days: int | None = 90
) -> tuple[ApiToken, str]:
    """A new API token and its secret, which is shown once and never stored."""
    name = readable_name(name)
    if not owner.role.includes(role):
        raise Invalid(N_("A token cannot have more rights than you have."), field="role")
    secret = TOKEN_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    token = ApiToken(
        user_id=owner.user_id,
        name=name,
        role=role,
        secret_hash=_digest(secret),
        expires_at=utc_now() + timedelta(days=days) if days else None,
    )
    session.add(token)
    session.flush()
    return token, secret


def actor_of_token(session: Session, secret: str) -> Actor | None:
    """Who a bearer token acts for, None when unknown, expired or revoked."""
    row = session.exec(
        select(ApiToken, User).join(User).where(ApiToken.secret_hash == _digest(secret), col(User.is_active))
    ).first()
    if row is None:
        return None
    token, user = row
    if token.revoked_at or (token.expires_at and token.expires_at < utc_now()):
        return None
    assert user.id is not None
    role = token.role if user.role.includes(token.role) else user.role
    return Actor(user.id, f"{user.name} ({token.name})", role, "token", token.id)


def list_tokens(session: Session, actor: Actor) -> list[ApiToken]:
    """The actor's own tokens, newest first."""
    statement = select(ApiToken).where(ApiToken.user_id == actor.user_id).order_by(col(ApiToken.id).desc())
    return list(session.exec(statement))


def revoke_token(session: Session, actor: Actor, token_id: int) -> None:
    """End a token of one's own at once."""
    token = session.get(ApiToken, token_id)
    if token is None or token.user_id != actor.user_id:
        raise NotFound(N_("There is no such token."))
    token.revoked_at = token.revoked_at or utc_now()


def record(session: Session, actor: Actor, action: str, subject: str) -> None:
    """Add a line to the audit trail."""
    session.add(AuditEvent(**actor.who.columns("actor"), action=action, subject=subject[:120]))
