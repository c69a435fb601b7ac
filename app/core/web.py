"""What a route needs: the request's transaction, and the mark that makes a route public."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar

from anyio import CapacityLimiter, move_on_after
from fastapi import Depends, Request
from pydantic import AfterValidator
from sqlalchemy import Engine
from sqlmodel import Session
from starlette.datastructures import FormData

from app.core.errors import Unavailable
from app.core.settings import Settings
from app.core.storage import Storage
from app.sentences import N_

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Threads for everything that is not a coroutine, and how many requests hold a session at the same time. Others wait for
# their turn outside the threads.
WEB_THREADS: Final = 40
SESSIONS: Final = 20
CROWDED: Final = N_(
    "The server is busy with other requests. Nothing was changed; try again in a few seconds."
)
RETRY_SECONDS: Final = 5
# Rows of a page of any list.
PAGE_SIZE: Final = 50
Endpoint = TypeVar("Endpoint", bound=Callable[..., object])


def _in_utc(moment: datetime) -> datetime:
    try:
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except OverflowError:
        pass  # The calendar ends in between.
    raise ValueError(N_("%(field)s must be a moment with its time zone, such as 2026-01-31T12:00:00Z."))


# A moment in time as an address spells it, in UTC.
Moment = Annotated[datetime, AfterValidator(_in_utc)]


def public(endpoint: Endpoint) -> Endpoint:
    """Mark an endpoint as open to people who are not signed in. Without the mark every route is closed."""
    endpoint.__public__ = True  # type: ignore[attr-defined]
    return endpoint


def is_public(endpoint: object) -> bool:
    """Whether the endpoint carries the mark."""
    return getattr(endpoint, "__public__", False) is True


# These three wait for nothing, so they are coroutines: a plain function would take a thread of the pool.
async def get_app_settings(request: Request) -> Settings:
    """Settings of this app instance."""
    settings: Settings = request.app.state.settings
    return settings


async def get_engine(request: Request) -> Engine:
    """Engine of this app instance."""
    engine: Engine = request.app.state.engine
    return engine


async def get_storage(request: Request) -> Storage:
    """File storage of this app instance."""
    storage: Storage = request.app.state.storage
    return storage


async def posted_form(request: Request) -> FormData:
    """The submitted form, already read for the CSRF check."""
    return await request.form()


def base_url(request: Request, settings: Settings) -> str:
    """Scheme, host and port by which this visitor reaches the server."""
    scheme = "https" if settings.https else request.url.scheme
    return f"{scheme}://{request.headers.get('host') or request.url.netloc}"


@dataclass
class Places:
    """So many requests at a time. Whoever waits for a place does so on the event loop, holding neither a thread nor a
    connection, and no longer than `seconds`.
    """

    at_once: int
    seconds: float

    def __post_init__(self) -> None:
        self._limiter = CapacityLimiter(self.at_once)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Held within the block. Raises Unavailable when none gets free in time."""
        holder = object()
        with move_on_after(self.seconds) as waiting:
            await self._limiter.acquire_on_behalf_of(holder)
        if waiting.cancelled_caught:
            raise Unavailable(CROWDED, retry_after=RETRY_SECONDS)
        try:
            yield
        finally:
            self._limiter.release_on_behalf_of(holder)


async def _place_of_session(request: Request) -> AsyncIterator[None]:
    sessions: Places = request.app.state.sessions
    async with sessions.place():
        yield


def session_dependency(
    request: Request, _place: Annotated[None, Depends(_place_of_session, scope="function")]
) -> Iterator[Session]:
    """One request = one transaction. Commits before the response is sent, so a failing commit is seen.

    Reads run in a deferred transaction and so block nobody on SQLite.
    """
    engine: Engine = request.app.state.engine
    if request.method in SAFE_METHODS:
        engine = engine.execution_options(read_only=True)
    with Session(engine, expire_on_commit=False) as session:
        try:
            yield session
        except BaseException:
            session.rollback()
            raise
        session.commit()


Db = Annotated[Session, Depends(session_dependency, scope="function")]
AppSettings = Annotated[Settings, Depends(get_app_settings)]
AppStorage = Annotated[Storage, Depends(get_storage)]
AppEngine = Annotated[Engine, Depends(get_engine)]
Posted = Annotated[FormData, Depends(posted_form)]
