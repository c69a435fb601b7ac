"""What must be true before the server or a worker starts; what is not is said in one sentence."""

import errno
import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from app.core.console import CommandFailed, say
from app.core.database import build_engine
from app.core.i18n import gettext as _
from app.core.migrations import all_revisions, current_revision, head_revision
from app.core.settings import Settings
from app.files import free_bytes

MIN_FREE_BYTES: Final = 500 * 1000 * 1000
# A converted base model, checkpoints and an adapter.
COMFORTABLE_FREE_BYTES: Final = 3 * 1000 * 1000 * 1000
# What tells that a folder is the studio's; its files are closed with it.
_OWN_NAMES: Final = frozenset(
    {
        "studio.db",
        "studio.db-wal",
        "studio.db-shm",
        "storage",
        "broker",
        "logs",
        "local-token",
        "setup-code",
        "wandb",
    }
)
# Lies in a data folder while an archive is brought back into it, and afterwards where that was broken off.
RESTORING: Final = ".restoring"
_GIGA: Final = 1000 * 1000 * 1000


def check_data_folder(data_dir: Path) -> None:
    """The folder is whole, exists or can be made, takes a file, and is nobody else's to read; what this process makes later
    is not either.
    """
    os.umask(0o077)
    require_whole(data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=data_dir) as file:
            file.write(b"x")
    except OSError as error:
        raise cannot_write(data_dir, error) from error
    keep_private(data_dir)


def require_whole(data_dir: Path) -> None:
    """Raises CommandFailed for a folder in which a restore was broken off: what is there is not all."""
    if (data_dir / RESTORING).exists():
        raise CommandFailed(
            _(
                "A restore into %(path)s was broken off, and not everything is there. Empty the folder, hidden files too, and "
                "run “sft-studio restore” again."
            )
            % {"path": data_dir}
        )


def cannot_write(data_dir: Path, error: OSError) -> CommandFailed:
    """What is said of a data folder that takes no file."""
    return CommandFailed(
        _("The data folder %(path)s cannot be written: %(reason)s. Set SFT_STUDIO_DATA to another folder.")
        % {"path": data_dir, "reason": error.strerror or error}
    )


def keep_private(data_dir: Path) -> None:
    """Close a folder that other users of the machine can read. Raises CommandFailed where that is not possible, or where
    the folder is not the studio's alone, so that nothing of others is closed.
    """
    if not _is_open(data_dir):
        _close(data_dir)
        return
    values = {"path": data_dir, "mode": f"{stat.S_IMODE(data_dir.stat().st_mode):o}"}
    # Which a file system makes by itself.
    names = {path.name for path in data_dir.iterdir()} - {"lost+found"}
    if data_dir.stat().st_mode & stat.S_ISVTX or (names and not names & _OWN_NAMES):
        raise CommandFailed(
            _(
                "Other users of this machine can read %(path)s (mode %(mode)s), and it holds what is not the studio's. "
                "Set SFT_STUDIO_DATA to a folder of its own."
            )
            % values
        )
    try:
        data_dir.chmod(0o700)
        _close(data_dir)
    except OSError as error:
        raise CommandFailed(_stays_open() % values) from error
    if _is_open(data_dir):
        raise CommandFailed(_stays_open() % values)
    say(_("Other users of this machine could read %(path)s (mode %(mode)s); now they cannot.") % values)


def _close(data_dir: Path) -> None:
    """The studio's own files: what was copied in from elsewhere may be open still."""
    for path in (data_dir / name for name in sorted(_OWN_NAMES)):
        if path.exists() and _is_open(path):
            path.chmod(0o700 if path.is_dir() else 0o600)


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _stays_open() -> str:
    return _(
        "Other users of this machine can read %(path)s (mode %(mode)s), and this user cannot change that. Run "
        "chmod 700 on it as its owner, or set SFT_STUDIO_DATA to another folder."
    )


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
    """An engine whose database answers. Raises CommandFailed, also where the files beside it are not all there."""
    require_whole(settings.data_dir)
    url = settings.resolved_database_url
    try:
        # A password may stand in the query too.
        where = make_url(url).set(query={}).render_as_string(hide_password=True)
        engine = build_engine(url, storage_root=settings.storage_dir)
        # SQLite opens anything; only reading the schema shows whether the file is a database.
        current_revision(engine)
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
    """Bring the database to this program's schema. Where it is there already, which is nearly always, nothing is loaded."""
    if current_revision(engine) == head_revision():
        return
    from alembic.util import CommandError

    from app.core.migrations import upgrade

    try:
        upgrade(engine)
    except CommandError as error:
        raise CommandFailed(_newer_text()) from error


def check_schema(engine: Engine) -> None:
    """The database has exactly this program's schema; who cannot migrate it says so."""
    current = current_revision(engine)
    if current == head_revision():
        return
    if current is not None and current not in all_revisions():
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
    import redis  # a tenth of a second that others need not wait

    try:
        with redis.Redis.from_url(settings.redis_url, socket_connect_timeout=5, socket_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError, OSError) as error:
        raise CommandFailed(
            _("Redis cannot be reached: %(reason)s. Check REDIS_URL and that Redis runs.")
            % {"reason": str(error).strip().rstrip(".")}
        ) from error


def tell_of_trackers(settings: Settings) -> None:
    """Say what keeps a tracker from being told of runs, as far as this machine knows it; nothing else is kept from starting."""
    from app.trackers.wandb import NOT_INSTALLED, is_installed

    if settings.wandb_project and not is_installed():
        say(_(NOT_INSTALLED))
