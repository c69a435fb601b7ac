"""Files, below everything: where the code and what comes with it lies, the hash of a file, room on a disk. Pure."""

import errno
import hashlib
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Final

# Errors of the system that say that nothing more can be written.
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Those that say that this process may not touch what lies there, whatever room there is.
PROTECTED: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})

# The package with what comes with it: catalogues, samples and so on.
APP_FOLDER: Final = Path(__file__).resolve().parent
# `app` and `worker` lie in it; a process that this one starts has it on its path.
CODE_FOLDER: Final = APP_FOLDER.parent


def shipped(name: str) -> Path:
    """A folder that comes with the code: inside the package where the program is installed, beside it in a checkout."""
    installed = APP_FOLDER / name
    return installed if installed.is_dir() else CODE_FOLDER / name


def file_sha256(path: Path | str) -> str:
    """Hex digest of all bytes of a file, read in pieces. Raises OSError."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
