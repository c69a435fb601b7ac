"""The embedded broker's folder lost while processes use it: they write into it, and make it anew when it is missing."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.patience import HANGING_SECONDS
from tests.support.workers import wait_until


def lose(folder: Path) -> None:
    """All of it at once, wherever it is: what is deleted file by file may get another file meanwhile."""
    if folder.is_dir():
        away = folder.with_name(f"{folder.name}-lost")
        folder.rename(away)
        shutil.rmtree(away)


@contextmanager
def replaced_by_a_file(folder: Path) -> Iterator[None]:
    """A file stands where the folder was, until the block ends."""

    def put() -> bool:
        lose(folder)
        try:
            folder.touch(exist_ok=False)
        except FileExistsError:  # they were quicker, and made it anew
            return False
        return True

    wait_until(put, timeout_seconds=HANGING_SECONDS, what="a file in place of the folder")
    yield
    folder.unlink()
