"""What the XML of a sheet tells besides the values of its cells: cells that are merged, formulas without a value.

A reader of values sees neither: of merged cells only the first one has a value, and a formula that no program has worked out
yet is an empty cell. The XML is passed over once, in pieces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import IO, Final

from app.interchange.files.bytes_in import CHUNK_BYTES

# Attributes are short, and bounded here: in hostile XML an expression would begin to look at every place anew.
_MERGED: Final = re.compile(
    rb'<(?:\w+:)?mergeCell\s[^<>]{0,400}?ref="([A-Z]{1,3})(\d{1,7}):[A-Z]{1,3}(\d{1,7})"'
)
# A formula whose value is an empty text has t="str", for programs write the type of a value with it.
_FORMULA: Final = re.compile(
    rb'<(?:\w+:)?c\s(?![^<>]{0,400}\bt="str")[^<>]{0,400}?\br="([A-Z]{1,3})(\d{1,7})"[^<>]{0,400}>\s*'
    rb"<(?:\w+:)?f\b[^<>]{0,400}(?:/>|>[^<]*</(?:\w+:)?f>)\s*"
    rb"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
_OVERLAP: Final = 32 * 1024  # no cell with a formula is longer, for a formula has at most 8,192 characters


@dataclass
class SheetMarks:
    """`merged`: by the first row of cells merged below each other, their column (from 0) and last row; `formulas`: the rows
    that hold formulas without a value, and of each such cell the column and the name."""

    merged: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    formulas: dict[int, dict[int, str]] = field(default_factory=dict)

    def look_at(self, xml: bytes) -> None:
        """A piece of the XML."""
        for letters, first, last in _MERGED.findall(xml) if b"mergeCell" in xml else ():
            if int(last) > int(first):
                found = self.merged.setdefault(int(first), [])
                if (place := (_column(letters), int(last))) not in found:
                    found.append(place)
        for letters, row in _FORMULA.findall(xml):
            self.formulas.setdefault(int(row), {})[_column(letters)] = f"{letters.decode()}{int(row)}"


def find_marks(stream: IO[bytes]) -> SheetMarks:
    """The marks of a sheet, from its XML."""
    marks, held = SheetMarks(), b""
    while piece := stream.read(16 * CHUNK_BYTES):
        marks.look_at(held + piece)
        held = (held + piece)[-_OVERLAP:]
    return marks


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number - 1
