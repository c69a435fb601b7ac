"""Signing in with a password: checked outside any transaction, attempts limited by name and by address, each logged."""

import math
import time
from dataclasses import dataclass, field
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy import Engine
from sqlmodel import col, select

from app.accounts.models import User
from app.accounts.service import password_fits, start_login
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
    return name.strip().casefold()[:80]


def sign_in(engine: Engine, attempts: Attempts, *, name: str, password: str, address: str, days: int) -> str:
    """Secret for the cookie of a new session. Raises Unauthenticated, with the same words whichever part was wrong, and
    TooMany.
    """
    name = name.strip()
    with reading(engine) as session:
        found = session.exec(
            select(User.id, User.password_hash).where(User.name == name, col(User.is_active))
        ).first()
    user_id, password_hash = found or (None, None)
    # A name that nobody has is not logged: it may be a password in the wrong field.
    known = repr(name) if user_id else "an unknown name"
    try:
        attempts.begin(name, address)
    except TooMany:
        logger.warning("sign-in of %s from %s refused: too many attempts", known, address)
        raise
    # An unknown name costs the same time as a wrong password. No connection is held meanwhile.
    if not password_fits(password_hash, password) or user_id is None:
        attempts.failed(address)
        logger.warning("sign-in of %s from %s failed", known, address)
        raise Unauthenticated(N_("Name or password is wrong."))
    attempts.succeeded(name)
    with transaction(engine) as session:
        secret = start_login(session, user_id, days)
    logger.info("sign-in of %s from %s", known, address)
    return secret
