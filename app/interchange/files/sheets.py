"""Rows of an Excel workbook: of its first sheet that holds a table, cell by cell as text. Sheets with a few words for the reader, with
columns and nothing below, and hidden ones come after those.

Formulas are read as the values that Excel saved with them, and a row with one that has none says so: it is
refused where that column is read. Cells that are merged
below each other have their value in every row, as a person reads them. A title above the columns is passed over. What a
workbook unpacks to is bounded before it is opened, and rows are read one by one.
"""

from __future__ import annotations

import datetime as dt
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final
from xml.etree.ElementTree import ParseError

from app.dialogue.limits import spoken_size
from app.interchange.files.archives import open_zip
from app.interchange.files.csv_columns import get_header
from app.interchange.files.limits import ImportLimits
from app.interchange.files.sheet_marks import SheetMarks, find_marks
from app.interchange.files.tables import Row, Table
from app.interchange.sentences import files as say
from app.interchange.sentences.problems import LineNote, LineProblem, RecordRefused, shown

_WORKBOOK: Final = "xl/workbook.xml"
_SHEETS: Final = "xl/worksheets/sheet"
_OTHER_DOCUMENTS: Final = ("word/", "ppt/", "xl/", "META-INF/manifest.xml")
_ROWS: Final = 1_048_576
_COLUMNS: Final = 256
_LOOKED_AT: Final = 20  # rows at the beginning of a sheet, in which its table begins
_BELOW_A_TITLE: Final = 4  # rows below a title, one of which names the columns
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
            # Any: where the XML of a sheet stands is not in the types of openpyxl, nor told by it otherwise.
            book: Any = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
            found = [(sheet, start) for sheet in book.worksheets if (start := _find_start(sheet)) is not None]
        except _BROKEN:
            raise RecordRefused(say.WORKBOOK_BROKEN) from None
    if not found:
        raise RecordRefused(say.EMPTY_FILE)
    # Of the best ones the first.
    sheet, start = max(found, key=lambda one: (one[1].is_table, one[0].sheet_state == "visible"))
    line, titles = start.line, start.titles
    notes = []
    if start.above:
        notes.append(LineNote.of(say.ABOVE_THE_COLUMNS, row=line, found=shown(start.above)))
    if len(found) > 1:
        others = shown(", ".join(other.title for other, _ in found if other is not sheet), 200)
        notes.append(LineNote.of(say.SHEETS_NOT_READ, sheet=shown(sheet.title), others=others))
    try:
        with book._archive.open(sheet._worksheet_path) as xml:
            marks = find_marks(xml)
    except _BROKEN:
        raise RecordRefused(say.WORKBOOK_BROKEN) from None
    if any(
        last > line and column < len(titles) for places in marks.merged.values() for column, last in places
    ):
        notes.append(LineNote.of(say.MERGED_CELLS))
    return Table("xlsx", titles, _rows(sheet, line + 1, len(titles), marks)), notes


@dataclass(frozen=True)
class _Start:
    """Where what a sheet holds begins."""

    line: int  # of the row that names the columns, from 1
    titles: tuple[str, ...]
    above: str = ""  # a title: a cell alone in its row
    is_table: bool = False  # columns are named, and something stands below


def _find_start(sheet: Any) -> _Start | None:
    """Nothing where the sheet is empty."""
    rows = sheet.iter_rows(max_row=_LOOKED_AT, max_col=_COLUMNS, values_only=True)
    first: _Start | None = None
    for number, cells in enumerate(rows, 1):
        texts = [_text(cell).strip() for cell in cells]
        while texts and not texts[-1]:
            texts.pop()
        if not texts:
            continue
        said = [text for text in texts if text]
        if len(said) > 1 or get_header(tuple(texts)):
            above = "".join(filter(None, first.titles)) if first else ""
            return _Start(number, tuple(texts), above, is_table=any(any(map(_text, row)) for row in rows))
        first = first or _Start(number, tuple(texts))
        if number - first.line >= _BELOW_A_TITLE:
            break
    return first


def _rows(sheet: Any, first: int, width: int, marks: SheetMarks) -> Iterator[Row | LineProblem]:
    merged: dict[int, _Merged] = {}  # by column
    try:
        rows = sheet.iter_rows(min_row=first, max_row=_ROWS, max_col=width, values_only=True)
        for number, cells in enumerate(rows, first):
            texts, unsaved = list(map(_text, cells)), marks.formulas.get(number, {})
            if any(texts) or any(column < width for column in unsaved):
                texts, unsaved = _filled(texts, unsaved, number, merged)
                yield Row(number, tuple(texts), tuple(sorted(unsaved.items())))
            for column, last in marks.merged.get(number, ()):
                if column < len(texts):
                    merged[column] = _Merged(last, texts[column], unsaved.get(column, ""))
    except _BROKEN:
        raise RecordRefused(say.WORKBOOK_BROKEN) from None


@dataclass(frozen=True)
class _Merged:
    """Cells merged below each other: their last row, their value, and the name of the first where that is a formula without one."""

    last: int
    value: str
    unsaved: str


def _filled(
    texts: list[str], unsaved: dict[int, str], number: int, merged: dict[int, _Merged]
) -> tuple[list[str], dict[int, str]]:
    """A row's cells and formulas, with those of what is merged above it."""
    unsaved = dict(unsaved)
    for column, above in list(merged.items()):
        if number > above.last:
            del merged[column]
        elif not texts[column]:
            texts[column] = above.value
            if above.unsaved:
                unsaved.setdefault(column, above.unsaved)
    return texts, unsaved


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
