"""Child side of an import: the staged file read into a file of conversations, which the parent stores. No torch."""

import io
import os
import tempfile
import time
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from app.imports.incoming import IncomingFile
from app.imports.job import CONVERSATIONS, ReadOrder
from app.interchange import ImportLimits
from app.interchange.files.archives import is_archive
from app.jobs.events import Emit, EventKind, Phase
from worker.work.protocol import Control

_TELL_SECONDS: Final = 1.0


class _Watched(io.RawIOBase):
    """The file, which tells how far its reading is and ends when the job is told to.

    Before the first conversation is found it is passed over for its encoding, or unpacked: that is no progress yet, and of
    what is unpacked none is known.
    """

    def __init__(self, file: BinaryIO, emit: Emit, control: Control) -> None:
        self._file, self._emit, self._control = file, emit, control
        self._size = Path(file.name).stat().st_size
        self._is_packed = is_archive(file.read(4))
        file.seek(0)
        self._records = 0
        self._told = 0.0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As in the file."""
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        """As in the file. Raises Cancelled."""
        data = self._file.read(size)
        self.note(self._records)
        return data

    def note(self, records: int) -> None:
        """So many conversations were found. Raises Cancelled."""
        self._records = records
        self._control.raise_if_cancelled()
        now = time.monotonic()
        if now - self._told > _TELL_SECONDS:
            self._told = now
            step = self._file.tell() if records and not self._is_packed else 0
            self._emit(EventKind.PROGRESS, step=step, total_steps=self._size, records=records)


def run(input: dict[str, Any], output_dir: Path, emit: Emit, control: Control) -> dict[str, Any]:
    """Read the file. The result is the FileReport; the conversations lie in the output folder."""
    order = ReadOrder.model_validate(input)
    # What is unpacked, recoded or sorted on the way lies on the disk of the data folder: the system's may be memory.
    tempfile.tempdir = os.environ["SQLITE_TMPDIR"] = str(output_dir)
    emit(EventKind.PHASE, phase=Phase.READING)
    with Path(order.file).open("rb") as file:
        watched = _Watched(file, emit, control)
        with IncomingFile(
            cast(BinaryIO, watched),
            filename=order.filename,
            format=order.format,
            skip_bad=order.skip_bad,
            limits=ImportLimits(file_bytes=order.most_bytes),
            source=order.source,
            spool=output_dir / CONVERSATIONS,
            listen=watched.note,
        ) as found:
            return found.report.model_dump(mode="json")
