"""Files that an export writes, kept in memory."""

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO

Files = dict[str, bytes]


def collector() -> tuple[Files, Callable[[str], AbstractContextManager[BinaryIO]]]:
    """Files by name, and what makes one: it is there once it is closed."""
    files: Files = {}

    @contextmanager
    def create(name: str) -> Iterator[BinaryIO]:
        stream = io.BytesIO()
        yield stream
        files[name] = stream.getvalue()

    return files, create
