"""The files of frozen versions: what they are called, whether one is what was frozen, what is said when one cannot be written."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.core.errors import Conflict, Unavailable
from app.core.storage import Storage
from app.files import file_sha256, tells_full_disk
from app.sentences import N_
from app.versions.models import DatasetVersion


def version_key(digest: str) -> str:
    """Where the version of this content is stored."""
    return f"versions/{digest}.jsonl"


def require_whole(storage: Storage, version: DatasetVersion) -> None:
    """Reads the whole file. Raises Conflict when it is gone or is not what was frozen."""
    try:
        digest = file_sha256(storage.path(version.storage_key))
    except OSError:
        raise missing() from None
    if digest != version.content_hash:
        raise damaged()


def missing() -> Conflict:
    """There is no file, or none that can be read."""
    return Conflict(N_("The frozen version's file is gone. Freeze the dataset again."))


def damaged() -> Conflict:
    """The file is not what was frozen."""
    return Conflict(N_("The frozen version's file is damaged: its hash differs. Freeze the dataset again."))


@contextmanager
def writing_sentences() -> Iterator[None]:
    """What a disk refuses becomes Unavailable with what to do about it."""
    try:
        yield
    except OSError as error:
        if tells_full_disk(error):
            text = N_("The disk is full, so the version was not written. Free some space, then freeze again.")
        else:
            text = N_(
                "The folder of frozen versions cannot be written to. Have its permissions and its disk checked, then "
                "freeze again."
            )
        raise Unavailable(text) from error
