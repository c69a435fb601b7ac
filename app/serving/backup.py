"""One file that holds an installation, made while it runs, and an installation made of one.

A tar archive: the database as of one moment, then the files, at last a manifest with the sha256 of each. The database
comes first: whatever it names is there by then, and what is made later is not missed.
"""

import hashlib
import io
import json
import os
import posixpath
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, Final, cast

from sqlalchemy import Engine

from app.core.console import CommandFailed
from app.core.database import build_engine
from app.core.i18n import gettext as _
from app.core.migrations import current_revision
from app.core.settings import Settings
from app.files import scratch_folder
from app.serving import preflight
from app.serving.stored_rows import named_files, snapshot, trouble_in

FORMAT: Final = 1
CONTENTS: Final = "manifest.json"
DATABASE: Final = "studio.db"
# Messages that only ring, logs, one-time secrets of this start, and the database, which is copied as a whole.
_LEFT_OUT: Final = frozenset(
    {"broker", "logs", "sign-in-code", DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"}
)
_UNFINISHED: Final = ".partial-"
_SCRATCH: Final = ".sft-studio-backup-"
_COPY: Final = "copy of studio.db"
_PIECE: Final = 1024 * 1024


@dataclass
class Manifest:
    """What an archive holds: sizes in bytes and sha256 by name; links by name; what was not as its row says."""

    format: int = FORMAT
    made_at: str = ""
    revision: str | None = None
    # `sqlite` when the database is in the archive, `postgresql` when it has to be kept beside it.
    database: str = "sqlite"
    files: dict[str, list[Any]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)


def back_up(settings: Settings, engine: Engine, target: Path) -> Manifest:
    """Write the archive, read it again, compare. Raises CommandFailed where the file exists or cannot be written."""
    if target.exists():
        raise _is_there(target)
    if target.resolve().is_relative_to(settings.data_dir.resolve()):
        raise CommandFailed(
            _("%(path)s lies in the data folder, and would be in the next backup. Name a file elsewhere.")
            % {"path": target}
        )
    try:
        with scratch_folder(target.absolute().parent, _SCRATCH) as scratch:
            partial = scratch / target.name
            with partial.open("wb") as stream:
                partial.chmod(0o600)
                manifest = _write(settings, engine, stream, scratch)
                stream.flush()
                os.fsync(stream.fileno())
            _verify(partial)
            # Taken by whoever makes the name first; a hard link would do too, but not on every disk of backups.
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            partial.replace(target)
    except FileExistsError as error:
        raise _is_there(target) from error
    except OSError as error:
        raise _cannot_write(target, error) from error
    return manifest


def restore(settings: Settings, source: Path) -> Manifest:
    """Make the data folder of an archive. Raises CommandFailed where the folder holds anything or cannot be written, or the
    archive is not whole.
    """
    folder = settings.data_dir
    try:
        preflight.require_whole(folder)
        # A file system makes that one by itself.
        if folder.exists() and {path.name for path in folder.iterdir()} - {"lost+found"}:
            raise CommandFailed(
                _("The data folder %(path)s is not empty. Set SFT_STUDIO_DATA to an empty one.")
                % {"path": folder}
            )
        manifest = _verify(source)
        _require_database(settings, manifest)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        mark = folder / preflight.RESTORING
        mark.touch(0o600)
        made: list[Path] = []
        try:
            _extract(source, folder, made)
            _require_sound(folder, manifest)
        except BaseException:
            _take_away(folder, made)
            mark.unlink()
            raise
        mark.unlink()
    except OSError as error:
        raise preflight.cannot_write(folder, error) from error
    return manifest


def _require_database(settings: Settings, manifest: Manifest) -> None:
    """What the archive's files belong to is where this installation looks for it."""
    if manifest.database == "sqlite":
        if settings.database_url:
            raise CommandFailed(
                _(
                    "The archive holds a database of its own, and DATABASE_URL names another. Restore it without DATABASE_URL."
                )
            )
        return
    if not settings.resolved_database_url.startswith("postgresql"):
        raise CommandFailed(
            _(
                "The archive belongs to a PostgreSQL database, which is not in it. Bring that back with “pg_restore”, set "
                "DATABASE_URL to it and restore again."
            )
        )
    engine = preflight.open_database(settings)
    try:
        found = current_revision(engine)
    finally:
        engine.dispose()
    if found is None:
        raise CommandFailed(
            _(
                "The database at DATABASE_URL is empty. Bring it back with “pg_restore” first, then restore again."
            )
        )
    if found != manifest.revision:
        raise CommandFailed(
            _(
                "The database at DATABASE_URL is not the one that the archive belongs to: its schema is %(found)s, and was "
                "%(wanted)s. Bring the database back with “pg_restore” first, then restore again."
            )
            % {"found": found, "wanted": manifest.revision}
        )


def _extract(source: Path, folder: Path, made: list[Path]) -> None:
    try:
        with tarfile.open(source, "r:") as archive:
            for member in archive:
                if member.name != CONTENTS:
                    made.append(folder / member.name)
                    archive.extract(member, folder, filter="data")
    except tarfile.TarError as error:
        raise _not_whole(source) from error
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() else 0o600)


def _require_sound(folder: Path, manifest: Manifest) -> None:
    if manifest.database == "sqlite" and (trouble := trouble_in(folder / DATABASE)):
        raise CommandFailed(_("The database in the archive is damaged: %(reason)s.") % {"reason": trouble})


def _take_away(folder: Path, made: list[Path]) -> None:
    for path in reversed(made):
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == folder:
                break
            with suppress(OSError):
                parent.rmdir()


def _write(settings: Settings, engine: Engine, stream: BinaryIO, scratch: Path) -> Manifest:
    manifest = Manifest(made_at=datetime.now(UTC).isoformat(), revision=current_revision(engine))
    manifest.database = engine.dialect.name
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        if engine.dialect.name == "sqlite":
            # Beside the archive: the system's own folder for such files may be small, or memory.
            copy = scratch / _COPY
            snapshot(engine, copy)
            named = _named_in(copy)
            _add(archive, manifest, copy, DATABASE)
            copy.unlink()
        else:
            named = {key: (owner, sha) for key, owner, sha in _rows(engine)}
        for path, name in _files(settings.data_dir.resolve()):
            _add(archive, manifest, path, name)
        storage = settings.storage_dir.name
        for key, (owner, sha256) in sorted(named.items()):
            found = manifest.files.get(f"{storage}/{key}")
            if found is None or (sha256 is not None and found[1] != sha256):
                manifest.damaged.append(f"{owner}: {key}")
        content = json.dumps(asdict(manifest), ensure_ascii=False).encode()
        header = tarfile.TarInfo(CONTENTS)
        header.size, header.mode = len(content), 0o600
        archive.addfile(header, io.BytesIO(content))
    return manifest


def _rows(engine: Engine) -> list[tuple[str, str, str | None]]:
    return [(file.key, file.owner, file.sha256) for file in named_files(engine)]


def _named_in(database: Path) -> dict[str, tuple[str, str | None]]:
    engine = build_engine(f"sqlite:///{database}")
    try:
        return {key: (owner, sha) for key, owner, sha in _rows(engine)}
    finally:
        engine.dispose()
        for leftover in ("-wal", "-shm"):
            database.with_name(database.name + leftover).unlink(missing_ok=True)


def _files(root: Path) -> Iterator[tuple[Path, str]]:
    """Every file and link of the data folder that is kept, with its name in the archive."""
    for parent, folders, files in os.walk(root):
        here = Path(parent)
        top = here == root
        for name in sorted(folders):
            if (here / name).is_symlink():
                files.append(name)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(_UNFINISHED) and not (top and name in _LEFT_OUT) and name not in files
        )
        for name in sorted(files):
            if not name.startswith(_UNFINISHED) and not (top and name in _LEFT_OUT):
                yield here / name, str((here / name).relative_to(root))


class _Counted:
    """Reads at most `size` bytes of a file that may be growing, and hashes them; what was cut off is zeros."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._left = stream, size
        self.digest = hashlib.sha256()

    def read(self, wanted: int = -1) -> bytes:
        """The next bytes."""
        wanted = self._left if wanted < 0 else min(wanted, self._left)
        found = self._stream.read(wanted).ljust(wanted, b"\0")
        self._left -= wanted
        self.digest.update(found)
        return found


def _add(archive: tarfile.TarFile, manifest: Manifest, path: Path, name: str) -> None:
    header = tarfile.TarInfo(name)
    header.mode = 0o600
    if path.is_symlink():
        header.type, header.linkname = tarfile.SYMTYPE, str(path.readlink())
        # What leads out of the data folder leads nowhere on another machine.
        if not _leads_out(name, header.linkname):
            manifest.links[name] = header.linkname
            archive.addfile(header)
        return
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return  # removed since the folder was listed
    with stream:
        status = os.fstat(stream.fileno())
        header.size, header.mtime = status.st_size, int(status.st_mtime)
        counted = _Counted(stream, header.size)
        archive.addfile(header, counted)
        manifest.files[name] = [header.size, counted.digest.hexdigest()]


def _verify(source: Path) -> Manifest:
    """Reads the whole archive. Raises CommandFailed unless every file of its manifest is there as it was."""
    found: dict[str, list[Any]] = {}
    links: dict[str, str] = {}
    told: dict[str, Any] = {}
    try:
        with tarfile.open(source, "r:") as archive:
            for member in archive:
                _require_inside(member)
                if member.issym():
                    links[member.name] = member.linkname
                    continue
                stream = cast(IO[bytes], archive.extractfile(member))
                if member.name == CONTENTS:
                    told = json.loads(stream.read())
                    continue
                digest = hashlib.sha256()
                while piece := stream.read(_PIECE):
                    digest.update(piece)
                found[member.name] = [member.size, digest.hexdigest()]
        if told["format"] != FORMAT:
            raise CommandFailed(
                _("%(path)s was made by a newer SFT Studio. Restore it with that one.") % {"path": source}
            )
        manifest = Manifest(**told)
    except OSError as error:
        raise CommandFailed(
            _("%(path)s cannot be read: %(reason)s.") % {"path": source, "reason": error.strerror or error}
        ) from error
    except (tarfile.TarError, ValueError, TypeError, LookupError, AttributeError, EOFError) as error:
        raise _not_whole(source) from error
    # What stands below a link would be written where the link leads.
    below = any(str(parent) in links for name in (*found, *links) for parent in PurePosixPath(name).parents)
    if below or (manifest.files, manifest.links) != (found, links):
        raise _not_whole(source)
    return manifest


def _require_inside(member: tarfile.TarInfo) -> None:
    """Raises TarError for what is neither a file nor a link, and for names and links that lead out of the data folder: an
    archive may come from anybody, and its own manifest proves nothing.
    """
    link = member.linkname if member.issym() else ""
    if not (member.isreg() or member.issym()) or _leads_out(member.name) or _leads_out(member.name, link):
        raise tarfile.TarError


def _leads_out(name: str, link: str = "") -> bool:
    """Whether a file of this name, or what a link there names, lies outside the folder that the names begin at."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), link) if link else name)
    return path.startswith("/") or path in ("..", ".") or path.startswith("../")


def _is_there(target: Path) -> CommandFailed:
    return CommandFailed(_("%(path)s exists already. Name another file.") % {"path": target})


def _not_whole(source: Path) -> CommandFailed:
    return CommandFailed(
        _("%(path)s is not a whole backup of SFT Studio. Take another copy of it.") % {"path": source}
    )


def _cannot_write(target: Path, error: OSError) -> CommandFailed:
    return CommandFailed(
        _("The backup %(path)s cannot be written: %(reason)s.")
        % {"path": target, "reason": error.strerror or error}
    )
