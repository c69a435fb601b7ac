"""Files of an export on their way out: read once, hashed meanwhile, and never whole unless the hash is right.

The last bytes are held back until the hash of all is known: whoever downloads gets the file that was made, or an answer
that breaks off before its announced end.
"""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

from app.core.errors import Conflict, NotFound
from app.core.logging import get_logger
from app.core.storage import Storage
from app.exports.models import RunExportFile
from app.sentences import N_

logger = get_logger(__name__)
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Sent:
    """A file as it was made and where it lies."""

    name: str
    path: Path
    size_bytes: int
    sha256: str


class Damaged(Exception):
    """A file on the disk is not the one that was made; what is being sent of it breaks off."""


def find(storage: Storage, files: Iterable[RunExportFile]) -> list[Sent]:
    """Where they lie. Raises NotFound for one that is gone, Conflict for one of another size."""
    return [_find(storage, file) for file in files]


def _find(storage: Storage, file: RunExportFile) -> Sent:
    path = storage.path(file.storage_key)
    if not path.is_file():
        raise NotFound(N_("The file %(name)s is gone from the disk."), name=file.name)
    if path.stat().st_size != file.size_bytes:
        raise _damaged(file.name)
    return Sent(file.name, path, file.size_bytes, file.sha256)


def _damaged(name: str) -> Conflict:
    return Conflict(
        N_("The file %(name)s is not what was made: it changed on the disk. Export the run again."), name=name
    )


def chunks(file: Sent) -> Iterator[bytes]:
    """The bytes. Raises Damaged before the last of them where the file is another one by now."""
    digest, held = hashlib.sha256(), b""
    with file.path.open("rb") as source:
        while piece := source.read(_CHUNK_BYTES):
            digest.update(piece)
            if held:
                yield held
            held = piece
    if digest.hexdigest() != file.sha256:
        logger.error("%s is not what was made: its hash differs", file.path)
        raise Damaged(file.name)
    yield held


class _Pipe:
    """What a zip writes into, which cannot be gone back in; nothing of it is kept once it was taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        return

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def zip_tag(files: Sequence[Sent], folder: str) -> str:
    """A name of the zip's bytes, which follow from the names and the bytes of the files."""
    told = "\n".join(f"{file.sha256} {folder}/{file.name}" for file in files)
    return hashlib.sha256(told.encode()).hexdigest()


def zip_size(files: Sequence[Sent], folder: str) -> int:
    """How many bytes `zip_chunks` gives.

    Before each file 30, its name and 20 for lengths past 4 GB, behind it 24 that tell its length; at the end 46 and the name for each,
    with 4 and 8 for every length or place past the old limit, and 22 for the whole, 98 where its own places are past it.
    """
    place, listed = 0, 0
    for file in files:
        name = len(f"{folder}/{file.name}".encode())
        long = 8 * (2 * (file.size_bytes > zipfile.ZIP64_LIMIT) + (place > zipfile.ZIP64_LIMIT))
        listed += 46 + name + (4 + long if long else 0)
        place += 30 + name + 20 + file.size_bytes + 24
    past = len(files) > zipfile.ZIP_FILECOUNT_LIMIT or max(place, listed) > zipfile.ZIP64_LIMIT
    return place + listed + (98 if past else 22)


def zip_chunks(files: Iterable[Sent], folder: str) -> Iterator[bytes]:
    """A zip of all files below `folder`, made while it is sent. Weights do not shrink, so nothing is compressed.

    Raises Damaged as `chunks` does.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(cast(IO[bytes], pipe), "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            with archive.open(zipfile.ZipInfo(f"{folder}/{file.name}"), "w", force_zip64=True) as entry:
                for piece in chunks(file):
                    entry.write(piece)
                    yield pipe.take()
    yield pipe.take()
