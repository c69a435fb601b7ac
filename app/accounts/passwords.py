"""Passwords: hashed, compared, changed by their owner, and reset with a link that an administrator hands over."""

import secrets
from datetime import timedelta
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import Engine
from sqlmodel import Session, select

from app.accounts import sessions
from app.accounts.models import LOCAL_USER, User
from app.accounts.service import SECRET_BYTES, Actor, digest, record, require_user
from app.core.database import reading, transaction, utc_now
from app.core.errors import Conflict, Invalid
from app.sentences import N_

MIN_LENGTH: Final = 10
MAX_LENGTH: Final = 1000
RESET_LINK_HOURS: Final = 24
_LINK_USED: Final = N_(
    "This link was used already, has expired, or is not the newest. Ask an administrator for another."
)


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


def hash_password(password: str) -> str:
    """What is stored of a password; takes a good part of a second, so never inside a transaction. Raises Invalid for a
    short one, and one too long to be typed.
    """
    if len(password) < MIN_LENGTH:
        raise Invalid(
            N_("The password needs at least %(count)d characters."), field="password", count=MIN_LENGTH
        )
    if len(password) > MAX_LENGTH:
        raise Invalid(
            N_("The password may have at most %(count)d characters."), field="password", count=MAX_LENGTH
        )
    return _hasher().hash(password)


def password_fits(password_hash: str | None, password: str) -> bool:
    """Whether it is this one; takes a good part of a second, for None too, so never inside a transaction."""
    try:
        return _hasher().verify(password_hash or _dummy_hash(), password) and password_hash is not None
    except (VerifyMismatchError, InvalidHashError):
        return False


@cache
def _dummy_hash() -> str:
    return unknown_hash()


def unknown_hash() -> str:
    """Of a password that nobody knows."""
    return _hasher().hash(secrets.token_urlsafe(SECRET_BYTES))


def stored_hash(session: Session, user_id: int) -> str:
    """What is stored of a person's password."""
    return require_user(session, user_id).password_hash


def set_password(engine: Engine, actor: Actor, *, before: str, password_hash: str, end_others: bool) -> None:
    """Store one's own new password, whose owner proved to know the one of the hash `before`. With `end_others` all of
    the person's other browsers are signed out, and always where somebody else knew the password. Raises Conflict when it
    was changed meanwhile.
    """
    with transaction(engine) as session:
        user = require_user(session, actor.user_id)
        session.refresh(user, with_for_update=True)
        if user.password_hash != before:
            raise Conflict(N_("Your password was changed at the same moment. Sign in again."))
        end_others = end_others or user.must_change_password
        _put(session, user, password_hash)
        if end_others:
            sessions.end_all(session, actor.user_id, but=actor.login_id)
        record(session, actor, "password.change", f"user/{actor.user_id}")


def new_reset_link(session: Session, actor: Actor, user_id: int) -> tuple[User, str]:
    """The person and the code of a link with which a new password can be set once, within `RESET_LINK_HOURS`. An
    older link of the same person ends; the old password holds until the link is used. Raises Conflict.
    """
    user = require_user(session, user_id)
    if user.name == LOCAL_USER:
        raise Conflict(
            N_("The account “local” belongs to the command line on the server. It has no password.")
        )
    if user_id == actor.user_id:
        raise Conflict(N_("Change your own password on the Account page."))
    if not user.is_active:
        raise Conflict(N_("This account is closed. Reopen it first."))
    code = secrets.token_urlsafe(SECRET_BYTES)
    user.reset_hash = digest(code)
    user.reset_expires_at = utc_now() + timedelta(hours=RESET_LINK_HOURS)
    session.add(user)
    record(session, actor, "password.reset_link", f"user/{user_id}")
    return user, code


def reset_path(code: str) -> str:
    """Where a reset link leads on this server."""
    return f"/login/reset?code={code}"


def person_of_reset_code(engine: Engine, code: str) -> str:
    """Whose password the link resets: the name. Raises Invalid for a link that is used up, expired or unknown."""
    with reading(engine) as session:
        return _of_code(session, code).name


def reset_password(session: Session, code: str, password_hash: str) -> User:
    """Use a link up: the person has this password now, and is signed out everywhere. Raises Invalid."""
    # Two clicks at the same moment: the second waits for the row, and then no longer finds the code.
    user = _of_code(session, code, held=True)
    assert user.id is not None
    _put(session, user, password_hash)
    sessions.end_all(session, user.id)
    return user


def _of_code(session: Session, code: str, *, held: bool = False) -> User:
    statement = select(User).where(User.reset_hash == digest(code))
    user = session.exec(statement.with_for_update() if held else statement).first()
    if user is None or not user.is_active or (user.reset_expires_at or utc_now()) <= utc_now():
        raise Invalid(_LINK_USED)
    return user


def _put(session: Session, user: User, password_hash: str) -> None:
    user.password_hash = password_hash
    user.must_change_password = False
    user.reset_hash = user.reset_expires_at = None
    session.add(user)
