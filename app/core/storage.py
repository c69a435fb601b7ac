"""Files under one root of this machine, addressed by relative keys, so that the root may move.

Whoever reads large files is lent their path: object storage would need a local copy for them first.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from app.files import file_sha256, remove_forgotten
from app.sentences import N_

DISK_FULL: Final = N_("The disk is full: nothing can be stored until some space is free.")
DISK_PROTECTED: Final = N_(
    "The studio may not write to its data folder: the disk is read-only, or the folder belongs to somebody else. Nothing was "
    "changed; the server's operator has to make it writable."
)
# Below this hardly anything can be written any more, and an operator should hear of it.
LEAST_FREE_BYTES: Final = 16 * 1024 * 1024
_PARTIAL: Final = ".partial-"
# Files of a domain's own folder, and of a job's attempt.
_BEING_WRITTEN: Final = (f"*/{_PARTIAL}*", f"jobs/*/*/{_PARTIAL}*")
# Nothing takes so long between two writes.
_FORGOTTEN_SECONDS: Final = 24 * 3600.0


@dataclass(frozen=True)
class StoredFile:
    """A file as it is now: its name within the folder that was looked at, its key, its size and its sha256 in hex."""

    name: str
    key: str
    size_bytes: int
    sha256: str


class Storage:
    """A local folder. Files appear whole: written beside, flushed to disk, then renamed."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def path(self, key: str) -> Path:
        """Absolute path of a key. Raises ValueError for a key that leads out of the root."""
        path = (self.root / key).resolve()
        if not path.is_relative_to(self.root):
            raise ValueError(f"storage key leads outside the root: {key!r}")
        return path

    def relative(self, value: Any) -> Any:
        """JSON in which paths below the root begin there: where it lies is nothing that every reader must know."""
        if isinstance(value, str):
            return value.replace(f"{self.root}/", "")
        if isinstance(value, dict):
            return {name: self.relative(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.relative(item) for item in value]
        return value

    def folder(self, key: str) -> Path:
        """Absolute path of a folder, made if absent, readable by its owner only."""
        path = self.path(key)
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def files(self, key: str) -> list[StoredFile]:
        """Every file below a folder, by name; each is read for its hash."""
        folder = self.path(key)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [str(path.relative_to(folder)) for path in paths]
        return [
            StoredFile(name, f"{key}/{name}", path.stat().st_size, file_sha256(path))
            for name, path in zip(names, paths, strict=True)
        ]

    def remove(self, key: str) -> None:
        """Remove a file; that it is gone already is fine."""
        self.path(key).unlink(missing_ok=True)

    @contextmanager
    def stage(self, folder: str) -> Iterator["StagedFile"]:
        """A file that gets its name when its content is known; gone after the block unless it was kept."""
        handle, name = tempfile.mkstemp(dir=self.folder(folder), prefix=_PARTIAL)
        partial = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield StagedFile(self, partial, file)
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def write(self, key: str) -> Iterator[BinaryIO]:
        """A file that exists under `key` only once the block has ended well."""
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PARTIAL)
        partial = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def sweep_partials(storage: Storage) -> None:
    """Remove what was being written when its process was killed: it may hold what people have erased since."""
    found = (path for pattern in _BEING_WRITTEN for path in storage.root.glob(pattern))
    remove_forgotten(found, _FORGOTTEN_SECONDS)


class StagedFile:
    """A file that is being written; see `Storage.stage`."""

    def __init__(self, storage: Storage, partial: Path, file: BinaryIO) -> None:
        self._storage, self._partial, self._file = storage, partial, file
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """More of it."""
        self._digest.update(data)
        self._file.write(data)

    @property
    def sha256(self) -> str:
        """Hex digest of what was written so far."""
        return self._digest.hexdigest()

    def keep(self, key: str) -> None:
        """All is written: flush it to disk and give it its name, over what has the name already."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._partial.replace(self._storage.path(key))
