"""`serve`: the web server and the workers of one machine. `web`: the web server alone, where workers run elsewhere."""

import gc
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from sqlmodel import select

from app.accounts import first_run
from app.accounts.models import LOCAL_USER, User
from app.core.addresses import is_loopback
from app.core.console import CommandFailed, load_settings, say
from app.core.database import build_engine, reading
from app.core.i18n import gettext as _
from app.core.settings import Settings
from app.jobs.bell import celery_app
from app.serving.lifeline import when_parent_ends

if TYPE_CHECKING:
    from fastapi import FastAPI

    from app.serving.worker_pool import WorkerPool

WORKER_GRACE_SECONDS: Final = 8.0
HostOption = Annotated[
    str | None, typer.Option("--host", help=_("Address to listen on. Default: 127.0.0.1, this machine only."))
]
PortOption = Annotated[
    int | None, typer.Option("--port", min=1, max=65535, help=_("Port to listen on. Default: 8000."))
]
LifelineOption = Annotated[bool, typer.Option("--lifeline", hidden=True)]


def serve(host: HostOption = None, port: PortOption = None, lifeline: LifelineOption = False) -> None:
    """Command `serve`."""
    settings = load_settings(host=host, port=port)
    if lifeline:
        when_parent_ends(_stop_this_process)
    run_server(settings, with_workers=True)


def web(host: HostOption = None, port: PortOption = None) -> None:
    """Command `web`."""
    run_server(load_settings(host=host, port=port), with_workers=False)


def _stop_this_process() -> None:
    """As if somebody had asked for it: the signal's handler runs in the main thread, where stopping is safe."""
    os.kill(os.getpid(), signal.SIGTERM)


def run_server(settings: Settings, *, with_workers: bool) -> None:
    """Check, start, serve until told to stop, leave nothing behind."""
    # Nothing that a start makes is garbage, and looking for it takes a tenth of its time.
    gc.disable()
    # Here and not above, so that other commands start without loading the web application.
    from app.core.storage import Storage
    from app.imports.staging import FOLDER
    from app.main import create_app
    from app.serving import preflight
    from app.serving.web_server import build_server
    from app.serving.worker_pool import WorkerPool

    preflight.check_data_folder(settings.data_dir)
    preflight.check_disk(settings.data_dir)
    # What is sent waits on the disk of the data folder: the system's own folder for such files may be memory.
    tempfile.tempdir = str(Storage(settings.storage_dir).folder(FOLDER))
    with preflight.claim_port(settings.host, settings.port) as listening:
        _prepare_database(settings, migrate=with_workers)
        preflight.check_broker(settings)
        pool = WorkerPool(settings) if with_workers else None
        app = create_app(settings, whole=False)
        server = build_server(
            app,
            # Without workers this is a service under some supervisor, which reads standard error.
            log_file=_log_file(settings) if with_workers else None,
            on_ready=lambda: _when_it_answers(app, settings, pool),
            on_stop=pool.ask_to_stop if pool else lambda: None,
        )
        try:
            server.run(sockets=[listening])
        finally:
            if pool:
                pool.stop(WORKER_GRACE_SECONDS)
    if not server.started:
        raise CommandFailed(_("The web server could not start. The lines above say why."))
    say(_("Stopped."))


def _when_it_answers(app: "FastAPI", settings: Settings, pool: "WorkerPool | None") -> None:
    """What can wait until people can sign in: the other pages; workers, which take both cores to start; the way to them."""
    from app.main import complete
    from app.serving import preflight

    _welcome(settings)
    complete(app)
    gc.freeze()
    gc.enable()
    if pool:
        preflight.tell_of_trackers(settings)
        pool.start()
    celery_app(settings)


def _prepare_database(settings: Settings, *, migrate: bool) -> None:
    from app.serving import preflight

    engine = preflight.open_database(settings)
    try:
        if migrate:
            preflight.migrate(engine)
        else:
            preflight.check_schema(engine)
        first_run.local_token(engine, settings.data_dir)
    finally:
        engine.dispose()


def _log_file(settings: Settings) -> Path:
    folder = settings.data_dir / "logs"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder / "web.log"


def local_url(settings: Settings) -> str:
    """Address of the server for a browser on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"http://{host}:{settings.port}"


def _welcome(settings: Settings) -> None:
    url = local_url(settings)
    say(_("SFT Studio runs at %(url)s. Ctrl-C stops it.") % {"url": url})
    say(_("Data: %(path)s") % {"path": settings.data_dir})
    engine = build_engine(settings.resolved_database_url)
    with reading(engine) as session:
        people = session.exec(select(User).where(User.name != LOCAL_USER)).first() is not None
    engine.dispose()
    if not people:
        code = first_run.setup_code(settings.data_dir)
        say(_("Make the first account here: %(url)s") % {"url": f"{url}/setup?code={code}"})
    if not is_loopback(settings.host) and not settings.allowed_hosts:
        say(
            _(
                "Other machines reach it only by names listed in SFT_STUDIO_ALLOWED_HOSTS, "
                "such as SFT_STUDIO_ALLOWED_HOSTS='[\"studio.example.com\"]'."
            )
        )
