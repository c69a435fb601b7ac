"""Child side of an import: the staged file read into a file of conversations, which the parent stores. No torch."""

import io
import os
import tempfile
import time
from pathlib import Path
from typing import BinaryIO, Final, cast

from app.imports.incoming import IncomingFile
from app.imports.work import CONVERSATIONS, ImportInput, ImportResult
from app.interchange import ImportLimits
from app.jobs.events import Emit, EventKind, Phase
from worker.work.protocol import Control

_TELL_SECONDS: Final = 1.0


class _Watched(io.RawIOBase):
    """The file, which tells how far its reading is and ends when the job is told to.

    Before the first conversation is found it is passed over for its encoding, or unpacked: that is no progress yet.
    """

    def __init__(self, file: BinaryIO, emit: Emit, control: Control) -> None:
        self._file, self._emit, self._control = file, emit, control
        self._size = Path(file.name).stat().st_size
        self._records, self._share = 0, 0.0
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
        self.note(self._records, self._share)
        return data

    def note(self, records: int, share: float) -> None:
        """So many conversations were found, and this share of the file is read. Raises Cancelled."""
        self._records, self._share = records, share
        self._control.raise_if_cancelled()
        now = time.monotonic()
        if now - self._told > _TELL_SECONDS:
            self._told = now
            step = round(share * self._size)
            self._emit(EventKind.PROGRESS, step=step, total_steps=self._size, records=records)


def run(job: ImportInput, output_dir: Path, emit: Emit, control: Control) -> ImportResult:
    """Read the file; the conversations lie in the output folder then."""
    # What is unpacked, recoded or sorted on the way lies on the disk of the data folder: the system's may be memory.
    tempfile.tempdir = os.environ["SQLITE_TMPDIR"] = str(output_dir)
    emit(EventKind.PHASE, phase=Phase.READING)
    with Path(job.file).open("rb") as file:
        watched = _Watched(file, emit, control)
        with IncomingFile(
            cast(BinaryIO, watched),
            filename=job.filename,
            format=job.format,
            skip_bad=job.skip_bad,
            limits=ImportLimits(file_bytes=job.most_bytes),
            source=job.source,
            spool=output_dir / CONVERSATIONS,
            listen=watched.note,
        ) as found:
            return ImportResult(read=found.report)
