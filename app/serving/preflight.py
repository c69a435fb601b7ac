"""What must be true before the server or a worker starts; what is not is said in one sentence."""

import errno
import socket
import tempfile
from pathlib import Path
from typing import Final

import redis
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from app.core.console import CommandFailed, say
from app.core.database import build_engine
from app.core.i18n import gettext as _
from app.core.migrations import alembic_config, upgrade
from app.core.settings import Settings
from app.files import free_bytes

MIN_FREE_BYTES: Final = 500 * 1000 * 1000
# A converted base model, checkpoints and an adapter.
COMFORTABLE_FREE_BYTES: Final = 3 * 1000 * 1000 * 1000
_GIGA: Final = 1000 * 1000 * 1000


def check_data_folder(data_dir: Path) -> None:
    """The folder exists or can be made, and takes a file."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=data_dir) as file:
            file.write(b"x")
    except OSError as error:
        raise CommandFailed(
            _(
                "The data folder %(path)s cannot be written: %(reason)s. Set SFT_STUDIO_DATA to another folder."
            )
            % {"path": data_dir, "reason": error.strerror or error}
        ) from error


def check_disk(data_dir: Path) -> None:
    """Enough room to begin with; little room is said."""
    free = free_bytes(data_dir)
    values = {"path": data_dir, "free": f"{free / _GIGA:.1f}", "need": f"{MIN_FREE_BYTES / _GIGA:.1f}"}
    if free < MIN_FREE_BYTES:
        raise CommandFailed(
            _(
                "The disk of %(path)s has only %(free)s GB free; at least %(need)s GB are needed. Free some space, "
                "or set SFT_STUDIO_DATA to a folder on another disk."
            )
            % values
        )
    if free < COMFORTABLE_FREE_BYTES:
        say(_("Only %(free)s GB are free on the disk of %(path)s; a training run may need more.") % values)


def claim_port(host: str, port: int) -> socket.socket:
    """A socket that listens there, so that nobody takes the port before the server does."""
    values = {"host": host, "port": port, "next": port + 1 if port < 65535 else port - 1}
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (socket.gaierror, UnicodeError) as error:
        raise CommandFailed(
            _("%(host)s is not an address of this machine. Use --host 127.0.0.1.") % values
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            text = _(
                "Port %(port)d on %(host)s is in use. Stop what uses it, or choose another: --port %(next)d."
            )
        elif error.errno == errno.EACCES:
            text = _(
                "Port %(port)d needs more rights than this user has. Choose one above 1023, such as --port 8000."
            )
        elif error.errno == errno.EADDRNOTAVAIL:
            text = _("%(host)s is not an address of this machine. Use --host 127.0.0.1.")
        else:
            reason = error.strerror or str(error)
            raise CommandFailed(
                _("Port %(port)d on %(host)s cannot be used: %(reason)s.") % {**values, "reason": reason}
            ) from error
        raise CommandFailed(text % values) from error


def open_database(settings: Settings) -> Engine:
    """An engine whose database answers."""
    url = settings.resolved_database_url
    try:
        where = make_url(url).render_as_string(hide_password=True)
        engine = build_engine(url, storage_root=settings.storage_dir)
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
            # SQLite opens anything; only reading the schema shows whether the file is a database.
            MigrationContext.configure(connection).get_current_revision()
    except ArgumentError as error:
        raise CommandFailed(
            _(
                "DATABASE_URL is not a database address. Write it like postgresql://user:password@host:5432/name."
            )
        ) from error
    except (SQLAlchemyError, OSError, ImportError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise CommandFailed(
            _(
                "The database %(url)s cannot be used: %(reason)s. Check DATABASE_URL and that the database runs."
            )
            % {"url": where, "reason": reason.rstrip(".")}
        ) from error
    return engine


def migrate(engine: Engine) -> None:
    """Bring the database to this program's schema."""
    try:
        upgrade(engine)
    except CommandError as error:
        raise CommandFailed(_newer_text()) from error


def current_revision(engine: Engine) -> str | None:
    """The database's schema; None when it has none yet."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def check_schema(engine: Engine) -> None:
    """The database has exactly this program's schema; who cannot migrate it says so."""
    scripts = ScriptDirectory.from_config(alembic_config())
    current = current_revision(engine)
    if current == scripts.get_current_head():
        return
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise CommandFailed(_newer_text())
    raise CommandFailed(_("The database is not up to date. Run “sft-studio migrate” first."))


def _newer_text() -> str:
    return _(
        "The database was made by a newer SFT Studio. Update this installation, or use another data folder."
    )


def check_broker(settings: Settings) -> None:
    """Redis answers, where Redis is used."""
    if not settings.redis_url:
        return
    try:
        with redis.Redis.from_url(settings.redis_url, socket_connect_timeout=5, socket_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError, OSError) as error:
        raise CommandFailed(
            _("Redis cannot be reached: %(reason)s. Check REDIS_URL and that Redis runs.")
            % {"reason": str(error).strip().rstrip(".")}
        ) from error
