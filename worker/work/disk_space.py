"""Room on the disk, looked at before something large is written."""

from pathlib import Path
from typing import Final

from app.files import free_bytes
from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed

MODEL_LACKS: Final = N_(
    "The model needs %(needed)d MB under %(folder)s and %(free)d MB are free: make room first."
)
CHECKPOINT_LACKS: Final = N_(
    "A checkpoint needs %(needed)d MB and the disk has %(free)d MB left. Free some space, or "
    "lower save_total_limit, and start a new run: it begins at the first step."
)


def require_space(needed_bytes: int, folder: Path, lacks: str) -> None:
    """Makes the folder if need be. Raises JobFailed, in MB, when its disk has less free than is needed; `lacks` is
    the sentence, with places for `needed`, `free` and `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = free_bytes(folder)
    if free < needed_bytes:
        raise JobFailed(
            FailureCode.DISK_FULL,
            lacks,
            needed=needed_bytes // 2**20,
            folder=str(folder),
            free=free // 2**20,
        )
