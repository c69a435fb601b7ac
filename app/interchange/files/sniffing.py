"""What kind of file this is, told by its first bytes; files that are no text are refused by name."""

from __future__ import annotations

import json

from app.interchange.files.bytes_in import UTF8_BOM, looks_gbk
from app.interchange.sentences import files as say
from app.interchange.sentences.problems import RecordRefused

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
}
_BINARY = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"SQLite format 3\x00": "SQLite",
    b"GGUF": "GGUF",
    b"ARROW1": "Arrow",
    b"\x7fELF": "ELF",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b"RIFF": "RIFF",
}
_MARKUP = {b"<!doctype": "HTML", b"<html": "HTML", b"<?xml": "XML", b"{\\rtf": "RTF"}
_OFFICE_PARTS = (b"[Content_Types].xml", b"xl/", b"word/")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BLANK = b" \t\r\n"


def is_parquet(head: bytes) -> bool:
    return head.startswith(b"PAR1")


def refuse_other_kinds(head: bytes) -> None:
    """Raise RecordRefused for archives, documents and pictures."""
    for magic, kind in _COMPRESSED.items():
        if head.startswith(magic):
            if kind == "zip" and any(part in head[:4096] for part in _OFFICE_PARTS):
                raise RecordRefused(say.OFFICE)
            raise RecordRefused(say.COMPRESSED, kind=kind)
    if head.startswith(_OLE):
        raise RecordRefused(say.OFFICE)
    if b"%PDF-" in head[:1024] and not head.lstrip(_BLANK).startswith((b"{", b"[")):
        raise RecordRefused(say.PDF)
    for magic, kind in _BINARY.items():
        if head.startswith(magic):
            raise RecordRefused(say.BINARY_KIND, kind=kind)
    beginning = head.removeprefix(UTF8_BOM).lstrip(_BLANK)[:16].lower()
    for magic, kind in _MARKUP.items():
        if beginning.startswith(magic):
            raise RecordRefused(say.MARKUP, kind=kind)


def refuse_noise(head: bytes) -> None:
    """Raise RecordRefused for bytes that are no text in UTF-8."""
    if not head:
        return
    control = sum(head.count(byte) for byte in range(32) if byte not in b"\t\n\r\f\x1b")
    if control > 0.1 * len(head):
        raise RecordRefused(say.BINARY)
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        cut_at_the_end = error.end >= len(head) - 3
        if not cut_at_the_end and control > 0.01 * len(head) and not looks_gbk(head):
            raise RecordRefused(say.BINARY) from None


def spans_lines(head: bytes) -> bool:
    """Whether a file that begins with `{` holds objects printed over several lines, not one per line.

    The first line then stops between two tokens and the next does not begin an object of its own; a line of
    JSON Lines that was cut in two stops inside a string nearly always, or is followed by the next `{`.
    """
    lines = [line for line in head.split(b"\n") if line.strip()]
    if len(lines) < 2 or lines[1].startswith(b"{"):
        return False
    first = lines[0].decode("utf-8", errors="replace").strip()
    try:
        json.loads(first)
    except json.JSONDecodeError as error:
        return error.pos >= len(first) - 1 and not error.msg.startswith("Unterminated string")
    except (RecursionError, ValueError):
        return False
    return False
