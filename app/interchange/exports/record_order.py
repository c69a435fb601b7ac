"""The order of records in files that Arrow will read.

Its JSON reader takes the columns from the first block of a file and fails on a field that appears only later,
so the records that show a field for the first time are put in front; the others keep their order.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO, Self

_MEMORY_BYTES = 8 * 1024 * 1024


class ShownFirst:
    """Collects lines; writes them to `stream` at the end, or at once where the order does not matter."""

    def __init__(self, stream: BinaryIO, matters: bool) -> None:
        self._stream = stream
        self._matters = matters
        self._seen: set[str] = set()

    def __enter__(self) -> Self:
        self._rest = tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES)
        return self

    def write(self, line: bytes, value: dict[str, Any]) -> None:
        """`value` is the record that the line spells."""
        if not self._matters:
            self._stream.write(line)
            return
        paths = set(_paths(value, ""))
        (self._rest if paths <= self._seen else self._stream).write(line)
        self._seen |= paths

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._rest.seek(0)
            shutil.copyfileobj(self._rest, self._stream)
        self._rest.close()


def _paths(value: Any, path: str) -> Iterator[str]:
    """Every field that holds something."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _paths(item, f"{path}[]")
    elif value is not None:
        yield path
