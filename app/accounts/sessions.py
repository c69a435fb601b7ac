"""Signed-in browsers: their cookies, where and when each was seen, and their end."""

import hashlib
import re
import secrets
from datetime import timedelta
from typing import Final

from sqlmodel import Session, col, delete, select

from app.accounts.models import LoginSession, User
from app.accounts.service import SECRET_BYTES, Actor, digest, record
from app.core.database import utc_now
from app.core.errors import NotFound
from app.sentences import N_

_AGENT_LENGTH: Final = 200
# The first that fits: each of these also writes the names of those below it.
_BROWSERS: Final = (
    ("Edge", "Edg"),
    ("Opera", "OPR/"),
    ("Firefox", "Firefox/|FxiOS/"),
    ("Chrome", "Chrome/|CriOS/|Chromium/"),
    ("Safari", "Safari/"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iOS", "iPhone|iPad"),
    ("Windows", "Windows"),
    ("macOS", "Mac OS X|Macintosh"),
    ("Linux", "Linux|X11"),
)


def start_login(session: Session, user_id: int, days: int, *, address: str = "", agent: str = "") -> str:
    """Secret for the cookie of a new login session. The person's expired ones are forgotten."""
    now = utc_now()
    session.execute(
        delete(LoginSession).where(col(LoginSession.user_id) == user_id, col(LoginSession.expires_at) < now)
    )
    secret = secrets.token_urlsafe(SECRET_BYTES)
    session.add(
        LoginSession(
            user_id=user_id,
            secret_hash=digest(secret),
            created_at=now,
            seen_at=now,
            address=address,
            agent=agent[:_AGENT_LENGTH],
            expires_at=now + timedelta(days=days),
        )
    )
    return secret


def end_login(session: Session, secret: str) -> None:
    """Forget the login session of this cookie, if there is one."""
    session.execute(delete(LoginSession).where(col(LoginSession.secret_hash) == digest(secret)))


def actor_of_cookie(session: Session, secret: str) -> Actor | None:
    """Who the session cookie belongs to, None when unknown or expired."""
    row = session.exec(
        select(LoginSession, User)
        .join(User)
        .where(LoginSession.secret_hash == digest(secret), col(User.is_active))
    ).first()
    if row is None or row[0].expires_at < utc_now():
        return None
    login, user = row
    assert user.id is not None
    return Actor(
        user.id,
        user.name,
        user.role,
        "session",
        login_id=login.id,
        must_change_password=user.must_change_password,
    )


def csrf_token_of(secret: str) -> str:
    """Token bound to a login session; without the cookie it cannot be computed."""
    return hashlib.sha256(f"csrf:{secret}".encode()).hexdigest()


def list_logins(session: Session, actor: Actor) -> list[LoginSession]:
    """The actor's own that have not expired, the one that was seen last first."""
    statement = select(LoginSession).where(
        LoginSession.user_id == actor.user_id, col(LoginSession.expires_at) >= utc_now()
    )
    newest = statement.order_by(col(LoginSession.seen_at).desc().nulls_last(), col(LoginSession.id).desc())
    return list(session.exec(newest))


def end_one(session: Session, actor: Actor, login_id: int) -> None:
    """End a login session of one's own at once. Raises NotFound."""
    login = session.get(LoginSession, login_id)
    if login is None or login.user_id != actor.user_id:
        raise NotFound(N_("There is no such sign-in. It may have ended already."))
    session.delete(login)
    record(session, actor, "session.end", f"user/{actor.user_id}")


def end_others(session: Session, actor: Actor) -> None:
    """End all of one's own but the one that asks."""
    end_all(session, actor.user_id, but=actor.login_id)
    record(session, actor, "session.end_others", f"user/{actor.user_id}")


def end_all(session: Session, user_id: int, *, but: int | None = None) -> None:
    """End every login session of a person, except one."""
    statement = delete(LoginSession).where(col(LoginSession.user_id) == user_id)
    session.execute(statement if but is None else statement.where(col(LoginSession.id) != but))


def browser_of(agent: str) -> tuple[str, str]:
    """Names of browser and system in a User-Agent header, each empty where it is none that people know."""
    return _first(_BROWSERS, agent), _first(_SYSTEMS, agent)


def _first(known: tuple[tuple[str, str], ...], agent: str) -> str:
    return next((name for name, pattern in known if re.search(pattern, agent)), "")
