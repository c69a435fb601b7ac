"""Numbers as people type them into forms, addresses and commands. What is no such number is None: who asked says so by its field."""

import math
import re
from typing import Final

_NUMBER: Final = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)


def typed_number(text: str) -> float | None:
    """A finite number, with a point or a comma: not what Python reads besides (`nan`, `1_0`, digits of other scripts)."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text.replace(",", "."))
    return value if math.isfinite(value) else None


def typed_whole(text: str, digits: int = 9) -> int | None:
    """A whole number from 0, of at most so many digits."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None
