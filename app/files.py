"""Files, below everything: where the code and what comes with it lies, the hash of a file, room on a disk. Pure."""

import errno
import fcntl
import hashlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

# Errors of the system that say that nothing more can be written.
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Those that say that this process may not touch what lies there, whatever room there is.
PROTECTED: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})

# Within this time whoever makes a scratch folder holds it.
_TAKEN_SECONDS: Final = 5.0

# The package with what comes with it: catalogues, samples and so on.
APP_FOLDER: Final = Path(__file__).resolve().parent
# `app` and `worker` lie in it; a process that this one starts has it on its path.
CODE_FOLDER: Final = APP_FOLDER.parent


def python_path() -> str:
    """The PYTHONPATH of a process that this one starts: the code, and behind it what whoever started this one had there."""
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys([str(CODE_FOLDER), *filter(None, others)]))


def shipped(name: str) -> Path:
    """A folder that comes with the code: inside the package where the program is installed, beside it in a checkout."""
    installed = APP_FOLDER / name
    return installed if installed.is_dir() else CODE_FOLDER / name


def file_sha256(path: Path | str) -> str:
    """Hex digest of all bytes of a file, read in pieces. Raises OSError."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder below `parent` that is gone after the block, readable by its owner only. A process that is killed cannot
    keep that promise: whoever makes the next one with this prefix does. Raises OSError.
    """
    _remove_abandoned(parent, prefix)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
    with ExitStack() as stack:
        with suppress(
            OSError
        ):  # not every disk has locks; where there are none, nothing is taken for abandoned
            stack.enter_context(_held(folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path, prefix: str) -> None:
    now = time.time()
    with suppress(OSError):
        for path in parent.iterdir():
            # One that was made this moment is not held yet.
            if path.name.startswith(prefix) and now - path.stat().st_ctime > _TAKEN_SECONDS:
                with suppress(OSError), _held(path):
                    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Nobody else holds the folder while its process lives. Raises OSError where somebody does, or where that cannot be."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def remove_forgotten(paths: Iterable[Path], seconds: float) -> None:
    """Remove the files that nobody has written to for so long: whoever began them was killed."""
    oldest = time.time() - seconds
    for path in paths:
        with suppress(OSError):
            if path.is_file() and path.stat().st_mtime < oldest:
                path.unlink()


def free_bytes(folder: Path) -> int:
    """What this program may still write on the folder's disk. Raises OSError where there is no such folder."""
    return shutil.disk_usage(folder).free


def tells_full_disk(error: BaseException) -> bool:
    """Whether a disk without room is behind this error, or behind what it was raised from: of the system, of SQLite, or of
    a library that passes on the system's words alone.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in FULL:
            return True
        # The low byte is the kind of error; what is above tells how it came about.
        if (getattr(seen, "sqlite_errorcode", None) or 0) & 0xFF == sqlite3.SQLITE_FULL:
            return True
        if os.strerror(errno.ENOSPC) in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def tells_protected_disk(error: BaseException) -> bool:
    """Whether a disk mounted read-only, or a folder of somebody else's, is behind this error or what it was raised from."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in PROTECTED:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def gigabytes(size: float) -> str:
    """Bytes as a sentence has them, in powers of 1024: what stands beside it on a page is counted so as well."""
    return f"{size / 2**30:.2f}"
