"""Cells that a spreadsheet would run as a formula get an apostrophe in front, and lose it again when
read back.

The characters are those OWASP lists under "CSV injection", full-width forms included. Cells that already
begin with apostrophes before such a character get one more, so that the way back is exact.
"""

from __future__ import annotations

import re

_DANGEROUS = re.compile(r"'*(?:\s*[=+\-@＝＋－＠]|[\t\r\n])")


def defuse(cell: str) -> str:
    return "'" + cell if _DANGEROUS.match(cell) else cell


def restore(cell: str) -> str:
    """The text that defuse() was given."""
    return cell[1:] if cell.startswith("'") and _DANGEROUS.match(cell) else cell
