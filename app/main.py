"""Wiring only: one FastAPI app from settings. What signing in needs is here; `domains` has the rest, which is loaded after it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from anyio import from_thread, to_thread
from fastapi import Depends, FastAPI, Request
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from app import VERSION
from app.accounts import account_pages, audit_pages, people_pages
from app.accounts import api as accounts_api
from app.accounts import pages as accounts_pages
from app.accounts.access import INTRODUCTIONS, LOOKUPS, SENDERS, authenticate, introduce, knows, needs
from app.accounts.activity import Activity
from app.accounts.permissions import Permission
from app.accounts.sign_in import Attempts
from app.accounts.upkeep import keep_up, store_activity
from app.accounts.who import spoken_name
from app.core.database import build_engine
from app.core.errors import Unavailable
from app.core.i18n import LOCALES, gettext, translations
from app.core.middleware import EdgeMiddleware
from app.core.responses import install_error_handlers
from app.core.routing import Router, WaitingRoute, hang
from app.core.settings import Settings, get_settings
from app.core.slow_work import MOST_AT_ONCE
from app.core.storage import DISK_FULL, LEAST_FREE_BYTES, Storage
from app.core.templating import STATIC_DIR, templates
from app.core.unstorable import refuse_nul
from app.core.web import SESSIONS, WEB_THREADS, Places, public
from app.files import free_bytes
from app.jobs.bell import hang_bell
from app.jobs.events import status_words
from app.jobs.stream import STREAM_THREADS, Streams
from app.masking import turn_off_library_threads
from app.sentences import N_, FailureCode

NAVIGATION: Final[tuple[dict[str, Any], ...]] = (
    {
        "href": "/datasets",
        "label": N_("Datasets"),
        "icon": "database",
        "also": ("/conversations", "/dataset-versions"),
    },
    {"href": "/base-models", "label": N_("Base models"), "icon": "cpu"},
    {
        "href": "/runs",
        "label": N_("Runs"),
        "icon": "chart-line",
        "also": ("/mask-checks", "/recipes", "/sweeps"),
    },
    {"href": "/queue", "label": N_("Queue"), "icon": "list"},
    {"href": "/evaluations", "label": N_("Evaluations"), "icon": "scale"},
    {"href": "/playground", "label": N_("Try it"), "icon": "message-square-text"},
)


router = Router(include_in_schema=False)
_ACCOUNT_PAGES: Final = (
    accounts_pages.router,
    account_pages.router,
    people_pages.router,
    audit_pages.router,
)


class _ImmutableStatic(StaticFiles):
    """Static files whose URL carries their hash may be kept for ever."""

    def file_response(self, *args: Any, **kwargs: Any) -> Any:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


# Everybody who may hold a connection has one set aside, so that threads of the pool never wait for each other's; beside
# them the few routes that open one for a moment by themselves.
_CONNECTIONS: Final = SESSIONS + LOOKUPS + INTRODUCTIONS + SENDERS + STREAM_THREADS + MOST_AT_ONCE + 4


templates.filters["status_words"] = lambda status: gettext(status_words(status))
templates.filters["person"] = spoken_name


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # More than requests that work with the database can fill: static files and the others always find one.
    to_thread.current_default_thread_limiter().total_tokens = WEB_THREADS
    app.state.streams = Streams(asyncio.Event())
    if app.state.whole.is_set():
        await to_thread.run_sync(_read_catalogues)
    upkeep = asyncio.create_task(keep_up(app.state.engine, app.state.activity, app.state.settings.data_dir))
    sweeping = asyncio.create_task(_sweep(app))
    yield
    app.state.streams.closing.set()
    upkeep.cancel()
    sweeping.cancel()
    await to_thread.run_sync(store_activity, app.state.activity, app.state.engine)
    await to_thread.run_sync(app.state.engine.dispose)


async def _sweep(app: FastAPI) -> None:
    await app.state.whole.wait()
    from app.curation.sweeping import keep_sweeping

    await keep_sweeping(app.state.engine)


def create_app(settings: Settings | None = None, *, whole: bool = True) -> FastAPI:
    """The web application. `settings` defaults to the environment's.

    Without `whole` it signs people in and lets every other request wait until `complete` was called.
    """
    turn_off_library_threads()
    settings = settings or get_settings()
    app = FastAPI(
        title="SFT Studio",
        version=VERSION,
        lifespan=_lifespan,
        dependencies=[Depends(authenticate)],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.engine = build_engine(
        settings.resolved_database_url,
        connections=_CONNECTIONS,
        wait_seconds=settings.web_wait_seconds,
        storage_root=settings.storage_dir,
    )
    refuse_nul(app.state.engine)
    hang_bell(app.state.engine, settings)
    app.state.storage = Storage(settings.storage_dir)
    app.state.attempts = Attempts()
    app.state.activity = Activity()
    app.state.slow_work = {}
    app.state.lookups = Places(LOOKUPS, settings.web_wait_seconds)
    app.state.sessions = Places(SESSIONS, settings.web_wait_seconds)
    app.state.introduce = introduce
    app.state.knows = knows
    app.state.nav = NAVIGATION
    app.state.streams = Streams()
    app.add_middleware(EdgeMiddleware, settings=settings)
    install_error_handlers(app)
    app.mount("/static", _ImmutableStatic(directory=STATIC_DIR), name="static")
    hang(app, (accounts_api.router, *_ACCOUNT_PAGES, router))
    app.state.whole = asyncio.Event()
    if whole:
        _join(app)
        app.state.whole.set()
    else:
        app.router.routes.append(WaitingRoute())
    return app


def complete(app: FastAPI) -> None:
    """Load what `create_app` left out and answer those who wait for it. Called in a thread of the running server."""
    _read_catalogues()
    _join(app)
    from_thread.run_sync(app.state.whole.set)


def _read_catalogues() -> None:
    """Before the first request that needs one, which would read it on the event loop."""
    for locale in LOCALES:
        translations(locale)


def _join(app: FastAPI) -> None:
    # Here and not above: it takes longer than everything that signing in needs.
    from app.domains import join

    join(app)


@router.get("/")
@needs(Permission.ACCOUNT_USE)
def _home() -> RedirectResponse:
    return RedirectResponse("/datasets", status_code=303)


@router.get("/healthz")
@public
def _health(request: Request) -> dict[str, str]:
    """Whether the database answers and the data folder's disk has room. Reading goes on without room."""
    with request.app.state.engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
    if free_bytes(request.app.state.settings.data_dir) < LEAST_FREE_BYTES:
        raise Unavailable(DISK_FULL, code=FailureCode.DISK_FULL)
    return {"status": "ok"}
