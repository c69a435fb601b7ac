"""Files that were packed: what is inside a gzip or zip file, unpacked to the disk one after the other.

No name of an archive becomes a path: what is unpacked has no name on the disk. All members together may be as large as
one file, counted while they are unpacked, so that what an archive says of itself does not matter.
"""

from __future__ import annotations

import gzip
import io
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import IO, BinaryIO, Final, cast

from app.dialogue.limits import spoken_size
from app.interchange.files.bytes_in import CHUNK_BYTES
from app.interchange.files.limits import ImportLimits
from app.interchange.sentences import files as say
from app.interchange.sentences.problems import LineNote, RecordRefused, shown

GZIP_MARK: Final = b"\x1f\x8b"
ZIP_MARK: Final = b"PK\x03\x04"
_READ: Final = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".parquet", ".xlsx")
_INFO: Final = "dataset_info.json"
_ENCRYPTED: Final = 0x1
_SHOWN: Final = 200
# No OSError: that the disk is full, or cannot be read, is not the archive's fault.
_BROKEN: Final = (
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True)
class Unpacked:
    """One file of an archive; `name` is what people are told, `stream` is closed by whoever yields it."""

    name: str
    stream: BinaryIO
    is_one_of_many: bool = False


def is_archive(head: bytes) -> bool:
    """Whether this is a gzip or zip file; workbooks are zip files too, ask `is_workbook` before."""
    return head.startswith((GZIP_MARK, ZIP_MARK))


def unpack(stream: BinaryIO, filename: str, limits: ImportLimits) -> Iterator[Unpacked | LineNote]:
    """The files inside, by name, and a note about those that are no dialogues. Raises RecordRefused."""
    budget = _Budget(limits.file_bytes)
    if stream.read(2) == GZIP_MARK:
        stream.seek(0)
        name = PurePosixPath(filename.replace("\\", "/")).name
        with _opened(partial(_gunzip, stream), budget) as file:
            yield Unpacked(name.removesuffix(".gz"), file)
        return
    stream.seek(0)
    yield from _members(stream, budget, limits)


class _Bounded(io.RawIOBase):
    """A zip file of which nothing is read in one long piece, as zipfile does with the directory, to make an object of each
    entry, whatever their number."""

    def __init__(self, stream: BinaryIO, limits: ImportLimits) -> None:
        self._stream, self._limits = stream, limits

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As in the file. Raises BadZipFile for a place before its beginning, of which a file on the disk says OSError."""
        if whence == io.SEEK_SET and offset < 0:
            raise zipfile.BadZipFile
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """As in the file."""
        return self._stream.tell()

    def read(self, size: int = -1) -> bytes:
        """As in the file. Raises RecordRefused for more than a directory may have."""
        if size > self._limits.directory_bytes:
            raise RecordRefused(say.TOO_MANY_MEMBERS, limit=self._limits.members)
        return self._stream.read(size)


def open_zip(stream: BinaryIO, limits: ImportLimits) -> zipfile.ZipFile:
    """The archive. Raises RecordRefused where its directory is too long, and what zipfile raises for files that are
    none."""
    return zipfile.ZipFile(cast(IO[bytes], _Bounded(stream, limits)))


def _members(stream: BinaryIO, budget: _Budget, limits: ImportLimits) -> Iterator[Unpacked | LineNote]:
    try:
        archive = open_zip(stream, limits)
    except _BROKEN:
        raise RecordRefused(say.ARCHIVE_BROKEN) from None
    with archive:
        entries = [
            entry for entry in archive.infolist() if not entry.is_dir() and not _is_hidden(entry.filename)
        ]
        if len(entries) > limits.members:
            raise RecordRefused(say.TOO_MANY_MEMBERS, limit=limits.members)
        read = sorted(
            (entry for entry in entries if _is_read(entry.filename)), key=lambda entry: entry.filename
        )
        if not read:
            raise RecordRefused(say.NOTHING_IN_ARCHIVE)
        if left := [entry.filename for entry in entries if not _is_read(entry.filename)]:
            yield LineNote.of(say.MEMBERS_NOT_READ, names=shown(", ".join(left), _SHOWN))
        for entry in read:
            if entry.flag_bits & _ENCRYPTED:
                raise RecordRefused(say.ARCHIVE_ENCRYPTED)
            with _opened(partial(archive.open, entry), budget) as file:
                yield Unpacked(entry.filename, file, len(read) > 1)


def _gunzip(stream: BinaryIO) -> IO[bytes]:
    return cast(IO[bytes], gzip.GzipFile(fileobj=stream))


def _is_hidden(name: str) -> bool:
    return any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in name.split("/"))


def _is_read(name: str) -> bool:
    return name.lower().endswith(_READ) and not name.lower().endswith(_INFO)


class _Budget:
    """How many bytes may still be unpacked."""

    def __init__(self, limit: int) -> None:
        self._limit = self._left = limit

    def take(self, count: int) -> None:
        """Raises RecordRefused once there are too many."""
        self._left -= count
        if self._left < 0:
            raise RecordRefused(say.UNPACKED_TOO_LARGE, limit=spoken_size(self._limit))


@contextmanager
def _opened(packed: Callable[[], IO[bytes]], budget: _Budget) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file:
        try:
            with packed() as source:
                while piece := source.read(CHUNK_BYTES):
                    budget.take(len(piece))
                    file.write(piece)
        except _BROKEN:
            raise RecordRefused(say.ARCHIVE_BROKEN) from None
        file.seek(0)
        yield cast(BinaryIO, file)
