"""What a run's process leaves beside its results: the end of its log as plain text, and where TensorBoard finds its curves."""

import os
import re
import shlex
from typing import Final

from app.core.storage import Storage
from app.jobs.models import Job
from app.runs.folder_names import TENSORBOARD

TAIL_BYTES: Final = 64 * 1024
TAIL_LINES: Final = 200
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def tensorboard_command(storage: Storage, job: Job) -> str | None:
    """What shows the newest attempt's curves on this machine; None before anything was measured."""
    folder = storage.path(f"jobs/{job.id}/{job.attempt}/{TENSORBOARD}")
    return f"tensorboard --logdir {shlex.quote(str(folder))}" if folder.is_dir() else None


def log_tail(storage: Storage, job: Job) -> list[str]:
    """The last lines that the latest attempt wrote; empty while there are none."""
    path = storage.path(f"jobs/{job.id}/{job.attempt}/log.txt")
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read(TAIL_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return []
    lines = text.split("\n")
    if size > TAIL_BYTES:
        lines = lines[1:]  # its beginning is cut off
    return [_plain(line) for line in lines if line.strip()][-TAIL_LINES:]


def _plain(line: str) -> str:
    """Without terminal colours; of a progress bar that redraws itself, its last state."""
    return _CONTROLS.sub("", _ESCAPES.sub("", line).rstrip("\r").rpartition("\r")[2])
