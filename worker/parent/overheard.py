"""What a child process prints on standard error: passed on to where this process prints, and its end kept to tell of what it ended."""

import os
import threading
from contextlib import suppress
from typing import IO, Final

from app.line_process import PIECE_BYTES
from worker.want_of_memory import LOOKED_AT_BYTES

_OWN_STANDARD_ERROR: Final = 2
# What the child itself started may hold the other end a moment longer than it lives.
_END_SECONDS: Final = 2.0


class Overheard:
    """`mouth` is what the child gets as its standard error; `listen` once it has been started."""

    def __init__(self) -> None:
        ear, mouth = os.pipe()
        self._ear: IO[bytes] = os.fdopen(ear, "rb", buffering=0)
        self.mouth: IO[bytes] = os.fdopen(mouth, "wb", buffering=0)
        self._end = b""
        self._thread = threading.Thread(target=self._pass_on, daemon=True)

    def listen(self) -> None:
        """Until the child, and whatever it started, has closed it."""
        self.mouth.close()
        self._thread.start()

    def last_words(self) -> str:
        """The end of what it printed, once it has ended."""
        self._thread.join(_END_SECONDS)
        return self._end.decode("utf-8", "replace")

    def _pass_on(self) -> None:
        with self._ear:
            while piece := self._ear.read(PIECE_BYTES):
                self._end = (self._end + piece)[-LOOKED_AT_BYTES:]
                # A log that is full or gone loses the words; the child, which waits to be heard, goes on.
                with suppress(OSError):
                    _print(piece)


def _print(piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(_OWN_STANDARD_ERROR, left) :]
