"""JSON as the standard means it, stricter than the library: no NaN, no double keys, no abyss, no broken
characters."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from app.dialogue.json_values import LONE_SURROGATE
from app.interchange.files.limits import ImportLimits
from app.interchange.sentences import records as say
from app.interchange.sentences.problems import RecordRefused, shown


class StrictJson:
    """A decoder for the records of one file."""

    def __init__(self, limits: ImportLimits) -> None:
        self._limits = limits
        self._decoder = json.JSONDecoder(
            object_pairs_hook=_object_without_double_keys,
            parse_constant=_refuse_constant,
            parse_int=self._integer,
            parse_float=self._float,
        )

    def parse(self, text: str, line: int) -> Any:
        """The value of `text`, which starts on `line`. Raises RecordRefused with the line of the fault."""
        try:
            value = self.decode(text)
        except json.JSONDecodeError as error:
            raise _syntax(error, line) from None
        except RecursionError:
            raise RecordRefused(say.TOO_DEEP, line, limit=self._limits.depth) from None
        except RecordRefused as refusal:
            refusal.line = line
            raise
        # Only an escape can bring a NUL or a lone surrogate past the decoders of UTF-8 and JSON.
        self.inspect(value, line, texts="\\u" in text)
        return value

    def decode(self, text: str) -> Any:
        """The value of `text`. Raises json.JSONDecodeError with the place of the fault, RecordRefused for what only a
        lenient reader accepts, RecursionError for an abyss."""
        return self._decoder.decode(text)

    def inspect(self, value: Any, line: int, *, texts: bool = True) -> None:
        """Refuse what is nested too deeply and, with `texts`, characters that no database can store."""
        todo = [(value, 1)]
        while todo:
            item, depth = todo.pop()
            if isinstance(item, str):
                if texts:
                    _check_text(item, line)
            elif isinstance(item, dict):
                todo.extend((child, depth + 1) for child in item.values())
                if texts:
                    todo.extend((key, depth) for key in item)
            elif isinstance(item, list):
                todo.extend((child, depth + 1) for child in item)
            elif isinstance(item, float) and not math.isfinite(item):
                raise RecordRefused(say.NOT_A_NUMBER, line, value=str(item))
            if depth > self._limits.depth and isinstance(item, dict | list):
                raise RecordRefused(say.TOO_DEEP, line, limit=self._limits.depth)

    def _integer(self, digits: str) -> int:
        self._check_length(digits)
        return int(digits)

    def _float(self, digits: str) -> float:
        self._check_length(digits)
        number = float(digits)
        if math.isinf(number):
            raise RecordRefused(say.NUMBER_TOO_LARGE)
        return number

    def _check_length(self, digits: str) -> None:
        if len(digits) > self._limits.number_digits:
            raise RecordRefused(say.NUMBER_TOO_LONG, limit=self._limits.number_digits)


def _object_without_double_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise RecordRefused(say.DUPLICATE_KEY, key=shown(key))
            seen.add(key)
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise RecordRefused(say.NOT_A_NUMBER, value=name)


def _check_text(text: str, line: int) -> None:
    if "\x00" in text:
        raise RecordRefused(say.NUL_CHARACTER, line)
    if LONE_SURROGATE.search(text):
        raise RecordRefused(say.LONE_SURROGATE, line)


def _syntax(error: json.JSONDecodeError, first_line: int) -> RecordRefused:
    line = first_line + error.lineno - 1
    found = error.doc[error.pos : error.pos + 1]
    if "\x00" in error.doc:
        return RecordRefused(say.NUL_CHARACTER, line)
    if error.msg.startswith("Unterminated string") or not error.doc[error.pos :].strip():
        return RecordRefused(say.HALF_RECORD, first_line)
    if error.msg.startswith("Invalid control character"):
        return RecordRefused(say.CONTROL_CHARACTER, line, column=error.colno)
    if error.msg.startswith("Extra data"):
        return RecordRefused(say.SEVERAL_VALUES, line, column=error.colno)
    if found == "'":
        return RecordRefused(say.SINGLE_QUOTES, line, column=error.colno)
    return RecordRefused(say.NOT_JSON, line, column=error.colno)
