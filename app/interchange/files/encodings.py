"""Which encoding a text file has, by rules that always decide the same, and the file as UTF-8 whatever it has.

In this order: a byte order mark; zero bytes at every second place and at no other (UTF-16 without a mark); the whole file valid as
UTF-8; as GB 18030, mostly common Chinese characters; as Windows-1252, letters and typographic signs only and no
valid UTF-8 beside them. Anything else stays UTF-8 with broken places, which readers name by line. What was
recognised and is not UTF-8 is always told.
"""

from __future__ import annotations

import codecs
import io
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal, cast, get_args

from app.dialogue.limits import spoken_size
from app.interchange.files.bytes_in import CHUNK_BYTES, UTF8_BOM
from app.interchange.files.limits import ImportLimits
from app.interchange.sentences import files as say
from app.interchange.sentences.problems import RecordRefused

Encoding = Literal[
    "auto", "utf-8", "utf-16", "gb18030", "big5", "windows-1252", "windows-1251", "shift-jis", "euc-kr"
]
ENCODINGS: Final[tuple[Encoding, ...]] = get_args(Encoding)
_CODECS: Final = {
    "gb18030": "gb18030",
    "big5": "big5hkscs",
    "windows-1252": "cp1252",
    "windows-1251": "cp1251",
    "shift-jis": "cp932",
    "euc-kr": "cp949",
}
_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "utf-32", "UTF-32"),
    (b"\x00\x00\xfe\xff", "utf-32", "UTF-32"),
    (b"\xff\xfe", "utf-16", "UTF-16"),
    (b"\xfe\xff", "utf-16", "UTF-16"),
)
# The 3,755 most frequent characters, which GB 2312 puts first, and the punctuation of Chinese text.
_COMMON_ROWS: Final = range(0xB0, 0xD8)
_HANGUL_ROWS: Final = range(0xB0, 0xC9)  # where Korean text would have all of its syllables


def _characters(rows: range) -> frozenset[str]:
    """Of these rows of GB 2312."""
    return frozenset(
        bytes((row, cell)).decode("gb2312", "ignore") for row in rows for cell in range(0xA1, 0xFF)
    )


_COMMON: Final = _characters(_COMMON_ROWS) | frozenset("，。？！：；、（）“”‘’…—《》【】·￥～")
_COMMON_SHARE: Final = 0.6
_HANGUL: Final = _characters(_HANGUL_ROWS)
_HANGUL_SHARE: Final = 0.95
_FEW: Final = 10  # characters, which say nothing about their spread
_LATIN: Final = frozenset(bytes(range(0xC0, 0x100)).decode("cp1252")) - frozenset("×÷") | frozenset(
    "€‚ƒ„…†‡‰Š‹ŒŽ‘’“”•–—™š›œžŸ\u00a0¡¢£¥§©ª«®°±²³µ·¹º»¼½¾¿"
)
_LATIN_SHARE: Final = 0.95
_FOREIGN: Final = re.compile("[^\x00-\x7f]")
# Words of other alphabets in a code page of one byte a letter: Latin text has its accents one by one.
_FOREIGN_WORD: Final = re.compile("[À-ÖØ-öø-ÿ]{3,}")
_WORDS_SHARE: Final = 0.1
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_SURROGATE_BYTES: Final = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_FEW_ZEROS: Final = 3  # which may be slips in text of another encoding
_ZEROS: Final = 0.02  # of all bytes: a line of fifty Chinese characters has two of ASCII
# Kana in Shift JIS begin with these bytes; in Latin text the two are rare.
_KANA_BYTES: Final = frozenset("‚ƒ")
_KANA_SHARE: Final = 0.2
_SCORED: Final = 200_000  # characters beyond ASCII; more would only cost time


@dataclass(frozen=True)
class FoundEncoding:
    """`codec` is Python's name, `name` the one that people know; `chosen` by a person and not recognised."""

    codec: str
    name: str
    chosen: bool = False

    @property
    def is_utf8(self) -> bool:
        """Whether the bytes need no conversion."""
        return self.codec == "utf-8"


UTF_8: Final = FoundEncoding("utf-8", "UTF-8")


def seekable(stream: BinaryIO, limits: ImportLimits) -> BinaryIO:
    """The stream itself where it can be read twice, else a copy of it on disk. Raises RecordRefused past the limit."""
    if stream.seekable():
        return stream
    copy = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - closed with the reader that holds it
    for piece in pieces(stream, limits):
        copy.write(piece)
    copy.seek(0)
    return copy


def pieces(stream: BinaryIO, limits: ImportLimits, at_most: int | None = None) -> Iterator[bytes]:
    """Everything that is left, or about so many bytes of it, in bounded pieces. Raises RecordRefused past the limit of
    the file."""
    taken = 0
    while (at_most is None or taken < at_most) and (piece := stream.read(CHUNK_BYTES)):
        taken += len(piece)
        if taken > limits.file_bytes:
            raise RecordRefused(say.FILE_TOO_LARGE, limit=spoken_size(limits.file_bytes))
        yield piece


def find_encoding(
    stream: BinaryIO, head: bytes, limits: ImportLimits, chosen: Encoding, *, at_most: int | None = None
) -> FoundEncoding:
    """The encoding of the stream from where it stands, where it is left again; `head` is how it begins. It is judged by
    the whole file, or by its first `at_most` bytes."""
    marked = next(((codec, name) for mark, codec, name in _MARKS if head.startswith(mark)), None)
    if chosen == "utf-16":
        return FoundEncoding("utf-16" if marked else _wide(head) or "utf-16-le", "UTF-16", chosen=True)
    if chosen in _CODECS:
        return FoundEncoding(_CODECS[chosen], spoken_name(chosen), chosen=True)
    if chosen == "utf-8" or head.startswith(UTF8_BOM):
        return UTF_8
    if marked:
        return FoundEncoding(*marked)
    if wide := _wide(head):
        return FoundEncoding(wide, "UTF-16")
    start = stream.tell()
    try:
        return _narrow(stream, limits, at_most)
    finally:
        stream.seek(start)


def spoken_name(encoding: Encoding) -> str:
    """As people write it: UTF-16, GB18030, Windows-1252."""
    return {"shift-jis": "Shift JIS"}.get(encoding) or encoding.replace("windows", "Windows").replace(
        "utf", "UTF"
    ).replace("gb", "GB").replace("big", "Big").replace("euc-kr", "EUC-KR")


def _wide(head: bytes) -> str | None:
    # Braces, commas and line feeds are ASCII in any language, and half of each is a zero byte, always the same half.
    even, odd = head[::2].count(0), head[1::2].count(0)
    if bool(even) == bool(odd) or max(even, odd) < max(_FEW_ZEROS, _ZEROS * len(head)):
        return None
    codec = "utf-16-be" if even else "utf-16-le"
    try:
        text = codecs.getincrementaldecoder(codec)("strict").decode(head)
    except UnicodeDecodeError:
        return None
    is_text = not _CONTROL.search(text.encode("utf-8", "ignore"))
    return codec if is_text and ("\n" in text or b"\n" not in head) else None


class _Judge:
    """Follows the file through one codec: whether it is valid, and which characters beyond ASCII it holds."""

    def __init__(self, codec: str) -> None:
        self._decoder = codecs.getincrementaldecoder(codec)("strict")
        self.valid = True
        self.count = 0  # characters beyond ASCII that were looked at
        self.in_words = 0  # of them, in runs of three or more letters
        self._foreign: list[str] = []

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """The next bytes; once some are invalid, nothing more is read."""
        if not self.valid:
            return
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError as error:
            self.valid = False
            text = error.object[: error.start].decode(error.encoding, "ignore")
        if self.count < _SCORED and not text.isascii():
            found = "".join(_FOREIGN.findall(text))
            self.count += len(found)
            self.in_words += sum(map(len, _FOREIGN_WORD.findall(text)))
            self._foreign.append(found)

    def share(self, known: frozenset[str]) -> float:
        """Of the characters beyond ASCII that are among these."""
        return sum(map(known.__contains__, "".join(self._foreign))) / self.count if self.count else 0.0


def _narrow(stream: BinaryIO, limits: ImportLimits, at_most: int | None) -> FoundEncoding:
    start = stream.tell()
    utf8 = _Judge("utf-8")
    for piece in pieces(stream, limits, at_most):
        utf8.feed(piece)
        if not utf8.valid:
            break

    def is_read_to_its_end() -> bool:
        """What is not may stop within a character."""
        return at_most is None or stream.tell() - start < at_most

    utf8.feed(b"", final=is_read_to_its_end())
    if utf8.valid:
        return UTF_8
    stream.seek(start)
    chinese, latin = _Judge("gb18030"), _Judge("cp1252")
    for piece in pieces(stream, limits, at_most):
        if _CONTROL.search(piece) or _SURROGATE_BYTES.search(piece):
            return UTF_8
        chinese.feed(piece)
        latin.feed(piece)
    chinese.feed(b"", final=is_read_to_its_end())
    latin.feed(b"", final=is_read_to_its_end())
    if _is_chinese(chinese):
        return FoundEncoding("gb18030", "GB18030")
    return FoundEncoding("cp1252", "Windows-1252") if not utf8.count and _is_latin(latin) else UTF_8


def _is_chinese(text: _Judge) -> bool:
    might_be_korean = text.count > _FEW and text.share(_HANGUL) >= _HANGUL_SHARE
    return text.valid and text.share(_COMMON) >= _COMMON_SHARE and not might_be_korean


def _is_latin(text: _Judge) -> bool:
    might_be_japanese = text.count > _FEW and text.share(_KANA_BYTES) >= _KANA_SHARE
    is_of_letters = text.share(_LATIN) >= _LATIN_SHARE and text.in_words <= _WORDS_SHARE * text.count
    return text.valid and is_of_letters and not might_be_japanese


class Utf8Stream(io.RawIOBase):
    """A stream in another encoding, read as UTF-8. Bytes that are not valid in it end the reading: RecordRefused
    with their line."""

    def __init__(self, stream: BinaryIO, encoding: FoundEncoding) -> None:
        self._stream, self._encoding = stream, encoding
        self._decoder = codecs.getincrementaldecoder(encoding.codec)("strict")
        self._ready = b""
        self._line = 1
        self._ended = False

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes of UTF-8; fewer only at the end."""
        while not self._ended and len(self._ready) < size:
            piece = self._stream.read(CHUNK_BYTES)
            self._ended = not piece
            try:
                text = self._decoder.decode(piece, self._ended)
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(error.encoding, "ignore")
                line = self._line + before.count("\n")
                raise RecordRefused(say.NOT_IN_ENCODING, line, encoding=self._encoding.name) from None
            self._line += text.count("\n")
            self._ready += text.encode("utf-8", "surrogatepass")
        taken, self._ready = self._ready[:size], self._ready[size:]
        return taken
