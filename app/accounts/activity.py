"""When and where people and tokens were seen last. Kept in memory and stored now and then, so that nobody's page waits
for the database's one writer to say that somebody looked at it.
"""

import threading
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlmodel import Session, SQLModel, col

from app.accounts.models import ApiToken, LoginSession, User
from app.accounts.service import Actor
from app.core.database import transaction, utc_now

_Seen = dict[int, tuple[datetime, str]]


class Activity:
    """What this process saw and has not stored yet. A crash loses the last half minute of it, nothing else."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[type[SQLModel], _Seen] = {}

    def note(self, actor: Actor, address: str) -> None:
        """The actor asks for something now, from this address."""
        found = (utc_now(), address)
        with self._lock:
            self._seen.setdefault(User, {})[actor.user_id] = found
            if actor.token_id is not None:
                self._seen.setdefault(ApiToken, {})[actor.token_id] = found
            if actor.login_id is not None:
                self._seen.setdefault(LoginSession, {})[actor.login_id] = found

    def store(self, engine: Engine) -> None:
        """One short transaction, or none. What could not be stored is kept for the next time."""
        with self._lock:
            seen, self._seen = self._seen, {}
        if not seen:
            return
        try:
            with transaction(engine) as session:
                self._write(session, seen)
        except BaseException:
            with self._lock:
                for table, rows in seen.items():
                    self._seen[table] = {**rows, **self._seen.get(table, {})}
            raise

    def _write(self, session: Session, seen: dict[type[SQLModel], _Seen]) -> None:
        for table in (User, ApiToken, LoginSession):
            # In the order of ids, so that two processes do not wait for each other's rows crosswise.
            for number, (moment, address) in sorted(seen.get(table, {}).items()):
                older = sa.or_(col(table.seen_at).is_(None), col(table.seen_at) < moment)
                values = {"seen_at": moment, **({"address": address} if table is LoginSession else {})}
                session.execute(sa.update(table).where(col(table.id) == number, older).values(values))
