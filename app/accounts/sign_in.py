"""Signing in with a password: checked outside any transaction, attempts limited by name and by address, each logged and
kept in the audit trail."""

import math
import time
from dataclasses import dataclass, field
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy import Engine
from sqlmodel import Session, col, select

from app.accounts import sessions
from app.accounts.models import AuditEvent, User
from app.accounts.passwords import password_fits
from app.accounts.service import Actor, name_key, record
from app.accounts.who import NAME_LENGTH
from app.core.database import reading, transaction
from app.core.errors import TooMany, Unauthenticated
from app.core.logging import get_logger
from app.core.slow_work import Bounds
from app.sentences import N_

logger = get_logger(__name__)
# A hash takes a core for a good part of a second: the others are for those who are signed in.
PASSWORDS: Final = Bounds(
    at_once=2,
    each=2,
    asked=10,
    seconds=20,
    too_many=N_("Many people sign in from your network at this moment. Try again in a few seconds."),
    too_long=N_("Many people sign in at this moment. Try again in a few seconds."),
)
# A name is guessed at from anywhere; behind one address there may be a whole office.
BY_NAME: Final = RateLimitItemPerMinute(10, 5)
BY_ADDRESS: Final = RateLimitItemPerMinute(40, 5)
_WRONG: Final = N_("Name or password is wrong.")


@dataclass
class Attempts:
    """The failed attempts of the last minutes, counted by this process."""

    _limiter: MovingWindowRateLimiter = field(
        default_factory=lambda: MovingWindowRateLimiter(MemoryStorage())
    )

    def begin(self, name: str, address: str) -> None:
        """Counts an attempt before it is made, so that many at the same moment are not let through together.

        Raises TooMany with the seconds to wait.
        """
        if not self._limiter.test(BY_ADDRESS, address):
            raise self._too_many(BY_ADDRESS, address)
        if not self._limiter.hit(BY_NAME, _key(name)):
            raise self._too_many(BY_NAME, _key(name))

    def failed(self, address: str) -> None:
        """The name has it counted already."""
        self._limiter.hit(BY_ADDRESS, address)

    def succeeded(self, name: str) -> None:
        """Whoever knows the password begins anew."""
        self._limiter.clear(BY_NAME, _key(name))

    def _too_many(self, item: RateLimitItem, key: str) -> TooMany:
        free_at = self._limiter.get_window_stats(item, key).reset_time
        seconds = max(1, math.ceil(free_at - time.time()))
        return TooMany(
            N_("There were too many attempts to sign in. Try again in %(seconds)d seconds."),
            retry_after=seconds,
            seconds=seconds,
        )


def _key(name: str) -> str:
    return name_key(name[:NAME_LENGTH])


@dataclass(frozen=True)
class Visitor:
    """Where somebody signs in from: network address, and the User-Agent header."""

    address: str = ""
    agent: str = ""


def sign_in(
    engine: Engine,
    attempts: Attempts,
    *,
    name: str,
    password: str,
    visitor: Visitor,
    days: int,
    old: str = "",
) -> str:
    """Secret for the cookie of a new session; the one of the cookie `old` ends. Raises Unauthenticated, with the same
    words whichever part was wrong or changed meanwhile, and TooMany.
    """
    name = name.strip()
    with reading(engine) as session:
        user = session.exec(select(User).where(User.name == name, col(User.is_active))).first()
    # A name that nobody has is not logged: it may be a password in the wrong field.
    known = repr(name) if user else "an unknown name"
    try:
        attempts.begin(name, visitor.address)
    except TooMany:
        logger.warning("sign-in of %s from %s refused: too many attempts", known, visitor.address)
        raise
    # An unknown name costs the same time as a wrong password. No connection is held meanwhile.
    if not password_fits(user.password_hash if user else None, password) or user is None:
        attempts.failed(visitor.address)
        logger.warning("sign-in of %s from %s failed", known, visitor.address)
        with transaction(engine) as session:
            _record_failure(session, user, visitor)
        raise Unauthenticated(_WRONG)
    attempts.succeeded(name)
    with transaction(engine) as session:
        # Held: a reset that comes now ends this sign-in, one that came meanwhile is seen.
        now = session.get(User, user.id, with_for_update=True)
        if now is None or not now.is_active or now.password_hash != user.password_hash:
            raise Unauthenticated(_WRONG)
        secret = begin(session, now, visitor, days=days, action="sign_in", old=old)
    logger.info("sign-in of %s from %s", known, visitor.address)
    return secret


def begin(session: Session, user: User, visitor: Visitor, *, days: int, action: str, old: str = "") -> str:
    """Secret for the cookie of somebody who proved who they are, and a line of the audit trail."""
    assert user.id is not None
    if old:
        sessions.end_login(session, old)
    actor = Actor(user.id, user.name, user.role, "session")
    record(session, actor, action, f"user/{user.id}", address=visitor.address)
    return sessions.start_login(session, user.id, days, address=visitor.address, agent=visitor.agent)


def _record_failure(session: Session, user: User | None, visitor: Visitor) -> None:
    # Nobody proved to be the person, so the line has the name without the id.
    session.add(
        AuditEvent(
            actor=user.name if user else "",
            action="sign_in.failed",
            subject=f"user/{user.id}" if user else "user",
            address=visitor.address,
        )
    )
