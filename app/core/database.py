"""The database: one engine, sessions, and what SQLite needs to be shared safely.

Only the edge commits. A request is one transaction (`session_dependency`); background work uses `transaction`.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Engine,
    MetaData,
    QueuePool,
    String,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.types import TypeDecorator
from sqlmodel import Session, SQLModel

# Constraint names are spelled out so that migrations can name them on both databases.
SQLModel.metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


# The largest number that every supported database takes for an id.
LARGEST_ID: Final = 2**31 - 1
# A worker's own: its jobs, its heartbeats, its rescue of others.
WORKER_CONNECTIONS: Final = 10
# For SQLite's one writer: longer than the longest import writes, shorter than a worker's lease.
WORKER_WAIT_SECONDS: Final = 15.0

_SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    "foreign_keys=ON",
    "synchronous=NORMAL",
    # What was deleted is overwritten: a dialogue that somebody asked to have erased is nowhere in the file.
    "secure_delete=ON",
    # A large change leaves a large log behind: it is cut back once all of it is in the database.
    "journal_size_limit=67108864",
    # A search reads every dialogue: mapped, that takes half the time of a system call a page.
    "mmap_size=268435456",
)


def utc_now() -> datetime:
    """Now, with a time zone."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in time. SQLite drops the zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuses naive datetimes: they would mean a different moment on another machine."""
        if value is not None and value.tzinfo is None:
            raise ValueError("naive datetime stored; use utc_now()")
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Always an aware UTC datetime."""
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


EnumT = TypeVar("EnumT", bound=StrEnum)


class EnumText(TypeDecorator[EnumT], Generic[EnumT]):
    """An enum stored as its value in a short text column, so that adding a member needs no migration."""

    impl = String(30)
    cache_ok = True

    def __init__(self, enum: type[EnumT]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: EnumT | str | None, dialect: Dialect) -> str | None:
        """Refuses values outside the enum."""
        return None if value is None else self.enum(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> EnumT | None:
        """The enum member."""
        return None if value is None else self.enum(value)


class StoredPath(TypeDecorator[str]):
    """A file or folder: relative to the root of stored files where it lies below that, so that the root may move.

    Absolute in Python. The engine knows the root (`build_engine`); what lies elsewhere is stored as it is.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Without the root."""
        root = _ROOTS.get(dialect)
        if value is None or root is None:
            return value
        path = Path(value)
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else value

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """With the root as it is now."""
        root = _ROOTS.get(dialect)
        return value if value is None or root is None else str(root / value)


# The root of stored files of each engine that was told one.
_ROOTS: Final[WeakKeyDictionary[Dialect, Path]] = WeakKeyDictionary()


def moment_column(*, nullable: bool = False) -> Column[Any]:
    """A column for a moment in time."""
    return Column(UtcDateTime, nullable=nullable)


def enum_column(enum: type[StrEnum], *, nullable: bool = False, index: bool = False) -> Column[Any]:
    """A column for an enum."""
    return Column(EnumText(enum), nullable=nullable, index=index)


class _Turns:
    """Who of this process waits to write to SQLite, which has no queue of its own to look into."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.waiting = self.taken = 0

    @contextmanager
    def wait(self) -> Iterator[None]:
        with self._lock:
            self.waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self.waiting -= 1
                self.taken += 1


_turns = _Turns()


def give_way(longest_seconds: float) -> None:
    """Sleep until every thread that waits now for its turn to write to SQLite has had one, at most so long."""
    until, enough = time.monotonic() + longest_seconds, _turns.taken + _turns.waiting
    while _turns.taken < enough and time.monotonic() < until:
        time.sleep(0.005)


def _make_private(database: Path) -> None:
    """Nobody else's to read, and SQLite gives its log and its index the same mode."""
    database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not database.exists():
        # What stands in the way, SQLite says when it opens the file.
        with suppress(OSError):
            database.touch(mode=0o600)


def build_engine(
    url: str,
    *,
    connections: int = WORKER_CONNECTIONS,
    wait_seconds: float = WORKER_WAIT_SECONDS,
    storage_root: Path | None = None,
) -> Engine:
    """An engine for SQLite (WAL, foreign keys, immediate writes) or PostgreSQL.

    `storage_root` is where the paths in the database begin (`StoredPath`).

    `connections` is the most it opens, the same on both; `wait_seconds` how long a thread waits for one of them, for
    the server and for a lock (on SQLite its turn to write), before TimeoutError or OperationalError is raised.
    """
    # hide_parameters: errors go to the log, and what people write does not.
    options: dict[str, Any] = {
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": wait_seconds,
        "hide_parameters": True,
    }
    if not url.startswith("sqlite"):
        # Without these a server that vanished, or a row that somebody keeps locked, is waited for without end.
        milliseconds = round(wait_seconds * 1000)
        told = {
            "connect_timeout": max(2, round(wait_seconds)),
            "tcp_user_timeout": milliseconds,
            "options": f"-c lock_timeout={milliseconds}",
        }
        options["connect_args"] = {
            name: value for name, value in told.items() if name not in make_url(url).query
        }
        return _rooted(create_engine(url, pool_pre_ping=True, **options), storage_root)
    database = make_url(url).database
    if database and database != ":memory:":
        _make_private(Path(database))
    options["connect_args"] = {"check_same_thread": False, "timeout": wait_seconds}
    engine = _rooted(create_engine(url, poolclass=QueuePool, **options), storage_root)

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver must not begin transactions by itself: it would begin them deferred.
        connection.isolation_level = None
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # A deferred transaction that turns into a writer fails at once with "database is locked";
        # an immediate one waits for its turn. Readers that say so begin deferred and block nobody.
        read_only = connection.get_execution_options().get("read_only", False)
        if read_only:
            connection.exec_driver_sql("BEGIN")
            return
        with _turns.wait():
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _rooted(engine: Engine, storage_root: Path | None) -> Engine:
    if storage_root is not None:
        _ROOTS[engine.dialect] = storage_root.resolve()
    return engine


def cut_back_log(bind: Engine | Connection) -> None:
    """After a large change: bring SQLite's log into the database and shorten its file. Waits for nobody."""
    if bind.dialect.name != "sqlite":
        return
    raw = bind.engine.raw_connection()
    try:
        driver = raw.driver_connection
        assert driver is not None
        (patience,) = driver.execute("PRAGMA busy_timeout").fetchone()
        driver.execute("PRAGMA busy_timeout=100")
        try:
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            driver.execute(f"PRAGMA busy_timeout={patience}")
    finally:
        raw.close()


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """A session that commits at the end, or rolls back when the block raises."""
    with Session(engine, expire_on_commit=False) as session:
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise


def database_now(session: Session) -> datetime:
    """Now by the clock that all who share the database share: those of several machines may be minutes apart. SQLite has this
    machine's alone.
    """
    if session.get_bind().dialect.name != "postgresql":
        return utc_now()
    # Not now(), which is when the transaction began.
    found: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return found.astimezone(UTC)


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session for reading only: takes no write lock on SQLite. What was read stays readable afterwards."""
    with Session(engine.execution_options(read_only=True)) as session:
        yield session


def let_go(session: Session) -> None:
    """Give a reading session's connection back before something slow. What was read stays readable, and the next query
    takes a connection again. A session that may have written keeps its own, and with it the transaction.
    """
    if session.get_bind().get_execution_options().get("read_only", False):
        session.close()
