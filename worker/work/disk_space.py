"""Room on the disk, looked at before something large is written."""

from pathlib import Path
from typing import Final

from app.files import free_bytes
from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed

_MODEL_LACKS: Final = N_(
    "The model needs %(needed)d MB under %(folder)s and %(free)d MB are free: make room first."
)
_CHECKPOINT_LACKS: Final = N_(
    "A checkpoint needs %(needed)d MB and the disk has %(free)d MB left. Free some space, or "
    "lower save_total_limit, and start a new run: it begins at the first step."
)


def require_space(needed_bytes: int, folder: Path, *, for_checkpoint: bool = False) -> None:
    """Makes the folder if need be. Raises JobFailed, in MB, when its disk has less free than a model needs, or a
    checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = free_bytes(folder)
    if free < needed_bytes:
        raise JobFailed(
            FailureCode.DISK_FULL,
            _CHECKPOINT_LACKS if for_checkpoint else _MODEL_LACKS,
            needed=needed_bytes // 2**20,
            folder=str(folder),
            free=free // 2**20,
        )
