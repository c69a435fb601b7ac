"""Rows of an Excel workbook: of its first sheet that holds a table, cell by cell as text.

Formulas are read as the values that Excel saved with them. What a workbook unpacks to is bounded before it is opened,
and rows are read one by one.
"""

from __future__ import annotations

import datetime as dt
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Final
from xml.etree.ElementTree import ParseError

from app.dialogue.limits import spoken_size
from app.interchange.files.archives import open_zip
from app.interchange.files.limits import ImportLimits
from app.interchange.files.tables import Row, Table
from app.interchange.sentences import files as say
from app.interchange.sentences.problems import LineNote, LineProblem, RecordRefused, shown

_WORKBOOK: Final = "xl/workbook.xml"
_SHEETS: Final = "xl/worksheets/sheet"
_OTHER_DOCUMENTS: Final = ("word/", "ppt/", "xl/", "META-INF/manifest.xml")
_ROWS: Final = 1_048_576
_COLUMNS: Final = 256
_LOOKED_AT: Final = 20  # rows at the beginning of a sheet, in which its table begins
# What openpyxl raises for files that are none, or not whole.
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    ParseError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    OSError,
    RuntimeError,
)


def is_workbook(stream: BinaryIO, limits: ImportLimits) -> bool:
    """Whether this zip file is an Excel workbook that may be opened; other documents and giants are refused."""
    try:
        with open_zip(stream, limits) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    except _BROKEN:
        raise RecordRefused(say.ARCHIVE_BROKEN) from None
    finally:
        stream.seek(0)
    if _WORKBOOK not in sizes:
        if "[Content_Types].xml" in sizes or any(name.startswith(_OTHER_DOCUMENTS) for name in sizes):
            raise RecordRefused(say.OFFICE)
        return False
    # Sheets are read row by row; anything else, above all the texts of the cells, is held as a whole.
    held = max((size for name, size in sizes.items() if not name.startswith(_SHEETS)), default=0)
    if sum(sizes.values()) > limits.workbook_bytes or held > limits.workbook_text_bytes:
        raise RecordRefused(say.WORKBOOK_TOO_LARGE, limit=spoken_size(limits.workbook_bytes))
    return True


def read_workbook(stream: BinaryIO) -> tuple[Table, list[LineNote]]:
    """Its table, and notes about sheets that are not read. Raises RecordRefused."""
    # A tenth of a second of loading that other files need not wait for.
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it does not need to know about styles and validations
        try:
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
            tables = [(sheet, start) for sheet in book.worksheets if (start := _first_row(sheet)) is not None]
        except _BROKEN:
            raise RecordRefused(say.WORKBOOK_BROKEN) from None
    if not tables:
        raise RecordRefused(say.EMPTY_FILE)
    sheet, (line, titles) = tables[0]
    notes = []
    if len(tables) > 1:
        others = shown(", ".join(other.title for other, _ in tables[1:]), 200)
        notes.append(LineNote.of(say.SHEETS_NOT_READ, sheet=shown(sheet.title), others=others))
    return Table("xlsx", titles, _rows(sheet, line + 1, len(titles))), notes


def _first_row(sheet: Any) -> tuple[int, tuple[str, ...]] | None:
    """The number and the cells of the first row that is not empty."""
    rows = sheet.iter_rows(max_row=_LOOKED_AT, max_col=_COLUMNS, values_only=True)
    for number, cells in enumerate(rows, 1):
        texts = [_text(cell).strip() for cell in cells]
        while texts and not texts[-1]:
            texts.pop()
        if texts:
            return number, tuple(texts)
    return None


def _rows(sheet: Any, first: int, width: int) -> Iterator[Row | LineProblem]:
    try:
        rows = sheet.iter_rows(min_row=first, max_row=_ROWS, max_col=width, values_only=True)
        for number, cells in enumerate(rows, first):
            texts = tuple(map(_text, cells))
            if any(texts):
                yield Row(number, texts)
    except _BROKEN:
        raise RecordRefused(say.WORKBOOK_BROKEN) from None


def _text(value: Any) -> str:
    """A cell as a person reads it: dates as 2026-03-01 14:05:00, whole numbers without a point."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ", "seconds")
    return str(value)
