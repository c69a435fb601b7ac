"""Files that were packed: what is inside a gzip or zip file, unpacked to the disk one after the other, or no further
than it is read where only the beginning matters.

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
from contextlib import ExitStack, contextmanager
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
    # Where it begins and ends in what was sent, whose length is 1.
    begins: float = 0.0
    ends: float = 1.0


def is_archive(head: bytes) -> bool:
    """Whether this is a gzip or zip file; workbooks are zip files too, ask `is_workbook` before."""
    return head.startswith((GZIP_MARK, ZIP_MARK))


class ArchiveRefused(RecordRefused):
    """The archive as a whole cannot be read, whichever of its files it was found in."""


def unpack(
    stream: BinaryIO, filename: str, limits: ImportLimits, *, whole: bool = True
) -> Iterator[Unpacked | LineNote]:
    """The files inside, by name, and a note about those that are no dialogues. Each is unpacked before it is yielded, or,
    unless `whole`, as far as it is read, which then raises ArchiveRefused as well."""
    budget = _Budget(limits.file_bytes)
    if stream.read(2) == GZIP_MARK:
        stream.seek(0)
        name = PurePosixPath(filename.replace("\\", "/")).name
        with _opened(partial(_gunzip, stream), budget, whole=whole) as file:
            yield Unpacked(name.removesuffix(".gz"), file)
        return
    stream.seek(0)
    yield from _members(stream, budget, limits, whole=whole)


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
        """As in the file. Raises ArchiveRefused for more than a directory may have."""
        if size > self._limits.directory_bytes:
            raise ArchiveRefused(say.TOO_MANY_MEMBERS, limit=self._limits.members)
        return self._stream.read(size)


def open_zip(stream: BinaryIO, limits: ImportLimits) -> zipfile.ZipFile:
    """The archive. Raises RecordRefused where its directory is too long, and what zipfile raises for files that are
    none."""
    return zipfile.ZipFile(cast(IO[bytes], _Bounded(stream, limits)))


def _members(
    stream: BinaryIO, budget: _Budget, limits: ImportLimits, *, whole: bool
) -> Iterator[Unpacked | LineNote]:
    try:
        archive = open_zip(stream, limits)
    except _BROKEN:
        raise ArchiveRefused(say.ARCHIVE_BROKEN) from None
    with archive:
        entries = [
            entry for entry in archive.infolist() if not entry.is_dir() and not _is_hidden(entry.filename)
        ]
        if len(entries) > limits.members:
            raise ArchiveRefused(say.TOO_MANY_MEMBERS, limit=limits.members)
        read = sorted(
            (entry for entry in entries if _is_read(entry.filename)), key=lambda entry: entry.filename
        )
        if not read:
            raise ArchiveRefused(say.NOTHING_IN_ARCHIVE)
        if left := [entry.filename for entry in entries if not _is_read(entry.filename)]:
            yield LineNote.of(say.MEMBERS_NOT_READ, names=shown(", ".join(left), _SHOWN))
        packed = sum(entry.compress_size for entry in read) or 1
        before = 0
        for entry in read:
            if entry.flag_bits & _ENCRYPTED:
                raise ArchiveRefused(say.ARCHIVE_ENCRYPTED)
            after = before + entry.compress_size
            with _opened(partial(archive.open, entry), budget, whole=whole) as file:
                yield Unpacked(entry.filename, file, len(read) > 1, before / packed, after / packed)
            before = after


def _gunzip(stream: BinaryIO) -> IO[bytes]:
    return cast(IO[bytes], gzip.GzipFile(fileobj=stream, mode="rb"))


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
            raise ArchiveRefused(say.UNPACKED_TOO_LARGE, limit=spoken_size(self._limit))


class _Unpacking(io.RawIOBase):
    """The bytes of a packed file, unpacked onto the disk as far as anybody has read, so that they can be read again."""

    def __init__(self, packed: IO[bytes], file: IO[bytes], budget: _Budget) -> None:
        self._packed, self._file, self._budget = packed, file, budget
        self._at = self._unpacked = 0
        self._ended = False

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """In the unpacked file."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """In the unpacked file. From its end: all of it is unpacked. Raises ArchiveRefused."""
        if whence == io.SEEK_END:
            self._unpack_to(None)
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._unpacked}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes; fewer only at the end. Raises ArchiveRefused."""
        wanted = -1 if size is None else size
        self._unpack_to(None if wanted < 0 else self._at + wanted)
        self._file.seek(self._at)
        data = self._file.read(wanted)
        self._at += len(data)
        return data

    def _unpack_to(self, end: int | None) -> None:
        if self._ended or (end is not None and self._unpacked >= end):
            return
        self._file.seek(self._unpacked)
        while not self._ended and (end is None or self._unpacked < end):
            try:
                piece = self._packed.read(CHUNK_BYTES)
            except _BROKEN:
                raise ArchiveRefused(say.ARCHIVE_BROKEN) from None
            self._ended = not piece
            self._budget.take(len(piece))
            self._file.write(piece)
            self._unpacked += len(piece)


@contextmanager
def _opened(packed: Callable[[], IO[bytes]], budget: _Budget, *, whole: bool) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file, ExitStack() as stack:
        try:
            source = stack.enter_context(packed())
        except _BROKEN:
            raise ArchiveRefused(say.ARCHIVE_BROKEN) from None
        unpacking = _Unpacking(source, file, budget)
        if not whole:
            yield cast(BinaryIO, unpacking)
            return
        unpacking.seek(0, io.SEEK_END)
        file.seek(0)
        yield cast(BinaryIO, file)
