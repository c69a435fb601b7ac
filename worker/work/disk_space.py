"""Room on the disk, looked at before something large is written."""

import shutil
from pathlib import Path

from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed


def require_space(needed_bytes: int, folder: Path) -> None:
    """Makes the folder if need be. Raises JobFailed, in MB, when its disk has less free than is needed."""
    folder.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise JobFailed(
            FailureCode.DISK_FULL,
            N_("The model needs %(needed)d MB under %(folder)s and %(free)d MB are free: make room first."),
            needed=needed_bytes // 2**20,
            folder=str(folder),
            free=free_bytes // 2**20,
        )
