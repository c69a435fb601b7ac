"""What of JSON can be kept: not too deep, no numbers that JSON has not, no characters that no database stores."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, Literal

from app.dialogue.limits import DEPTH, NUMBER_DIGITS

Fault = Literal["too_deep", "number", "text"]
# PostgreSQL takes no NUL; half a surrogate pair has no UTF-8.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MOST_BITS: Final = (10**NUMBER_DIGITS).bit_length() - 1


def canonical_json(value: Any) -> str:
    """Compact, in the order given, characters as they are. Raises ValueError for NaN and infinities."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def is_storable(text: str) -> bool:
    """Whether both databases can hold it."""
    return not _UNSTORABLE.search(text)


def fault_in(value: Any, *, level: int = 1) -> Fault | None:
    """The first reason why this value of JSON cannot be kept. `level` is how deep it stands itself.

    Walks without recursion, so that what is too deep is told and not fallen over.
    """
    todo = [(value, level)]
    while todo:
        item, depth = todo.pop()
        if isinstance(item, str):
            if not is_storable(item):
                return "text"
        elif isinstance(item, dict | list):
            if depth > DEPTH:
                return "too_deep"
            children = item.values() if isinstance(item, dict) else item
            todo.extend((child, depth + 1) for child in children)
            if isinstance(item, dict):
                todo.extend((key, depth) for key in item)
        elif isinstance(item, float):
            if not math.isfinite(item):
                return "number"
        elif isinstance(item, int) and item.bit_length() > _MOST_BITS:
            return "number"
    return None
