"""Bytes of an upload in bounded pieces: a look ahead, a size limit, lines, UTF-8."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from app.dialogue.limits import spoken_size
from app.interchange.files.limits import ImportLimits
from app.interchange.sentences import files as say
from app.interchange.sentences.problems import RecordRefused

CHUNK_BYTES = 64 * 1024
UTF8_BOM = b"\xef\xbb\xbf"
_HAN = re.compile("[\u4e00-\u9fff]")


class ByteSource:
    """A binary stream that can be looked into before it is read, and that ends with an error past its
    limit."""

    def __init__(self, stream: BinaryIO, limits: ImportLimits) -> None:
        self._stream = stream
        self._limit = limits.file_bytes
        self._ahead = b""
        self._taken = 0

    def head(self) -> bytes:
        """The first bytes of the file (at most CHUNK_BYTES, fewer only when the file is shorter)."""
        while len(self._ahead) < CHUNK_BYTES:
            piece = self._read(CHUNK_BYTES - len(self._ahead))
            if not piece:
                break
            self._ahead += piece
        return self._ahead

    def skip(self, count: int) -> None:
        """Drop bytes that head() has shown."""
        self._ahead = self._ahead[count:]

    def chunks(self) -> Iterator[bytes]:
        ahead, self._ahead = self._ahead, b""
        if ahead:
            yield ahead
        while piece := self._read(CHUNK_BYTES):
            yield piece

    def _read(self, count: int) -> bytes:
        piece = self._stream.read(count) or b""
        self._taken += len(piece)
        if self._taken > self._limit:
            raise RecordRefused(say.FILE_TOO_LARGE, limit=spoken_size(self._limit))
        return piece


class LineFeeds(io.RawIOBase):
    """A stream whose lines end with CR alone, as old programs on a Mac write them, with LF instead."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """As many bytes as there were."""
        return self._stream.read(size).replace(b"\r", b"\n")


@dataclass(frozen=True)
class Line:
    """One line without its line feed; `data` is None when it was longer than a record may be."""

    number: int
    data: bytes | None


def split_lines(source: ByteSource, limits: ImportLimits) -> Iterator[Line]:
    """Lines end with LF (a CR before it stays). An overlong line is dropped while it is read, never
    held."""
    number, pieces, held, too_long = 1, list[bytes](), 0, False
    for chunk in source.chunks():
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            length = held + end - start
            too_long = too_long or length > limits.record_bytes
            pieces.append(chunk[start:end])
            yield Line(number, None if too_long else b"".join(pieces))
            number, pieces, held, too_long = number + 1, [], 0, False
            if number > limits.lines:
                raise RecordRefused(say.TOO_MANY_LINES, limit=limits.lines)
            start = end + 1
        held += len(chunk) - start
        if too_long or held > limits.record_bytes:
            pieces, too_long = [], True
        else:
            pieces.append(chunk[start:])
    if held:
        yield Line(number, None if too_long else b"".join(pieces))


def decode_utf8(data: bytes, line: int) -> str:
    """The text of a record; a byte order mark at its start is dropped. Raises RecordRefused."""
    try:
        return data.removeprefix(UTF8_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line += before.count(b"\n")
        if looks_gbk(data):
            raise RecordRefused(say.LOOKS_GBK, line) from None
        raise RecordRefused(say.NOT_UTF8, line, byte=error.start - before.rfind(b"\n")) from None


def looks_gbk(data: bytes) -> bool:
    """Whether bytes that are not UTF-8 read as Chinese in GB 18030, mostly common characters."""
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError as error:
        if error.end < len(data):
            return False
        text = data[: error.start].decode("gb18030")
    foreign = [c for c in text if ord(c) > 127]
    common = sum(1 for c in foreign if _HAN.match(c) or c in "，。？！：；、（）“”…—")
    return len(foreign) > 1 and common >= 0.7 * len(foreign)
