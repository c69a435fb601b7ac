"""Standard streams of the command line: always there, and honest about what cannot be written."""

import io
import os
import sys
from typing import Final

from app.core.console import CommandFailed
from app.core.i18n import gettext as _

# As a shell counts a process that SIGPIPE ended: whoever read our output has enough of it.
READER_GONE: Final = 141
OUTPUT_FAILED: Final = 2


class ReaderGone(Exception):
    """Nobody reads standard output any more. No OSError, for libraries turn those into an exit code of their own."""


class Output(io.TextIOWrapper):
    """Standard output. Raises ReaderGone, and CommandFailed for a full disk."""

    def write(self, text: str, /) -> int:
        """As any text stream."""
        try:
            return super().write(text)
        except OSError as error:
            raise _failure(error) from error

    def flush(self) -> None:
        """As any text stream."""
        try:
            super().flush()
        except OSError as error:
            raise _failure(error) from error


def _failure(error: OSError) -> Exception:
    # What is left in the buffer must not be tried again while Python exits.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if isinstance(error, BrokenPipeError):
        return ReaderGone()
    text = _("Standard output cannot be written: %(reason)s.") % {"reason": error.strerror or error}
    return CommandFailed(text, exit_code=OUTPUT_FAILED)


def prepare_streams() -> None:
    """A stream that the caller closed leads nowhere; a character that a terminal cannot show is written as its
    number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    out = sys.stdout if sys.stdout is not None else open(1, "w", closefd=False)  # noqa: SIM115
    if isinstance(out, io.TextIOWrapper):
        out.flush()
        # A buffer of its own: the first stream stays whole, for libraries write to `sys.__stdout__` (Celery does).
        sys.stdout = Output(
            open(out.fileno(), "wb", closefd=False),  # noqa: SIM115
            encoding=out.encoding,
            errors="backslashreplace",
            line_buffering=out.isatty(),
        )
