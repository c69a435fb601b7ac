"""Uploads that wait while somebody says what they mean: a file and a note about it in the storage, for one day."""

import re
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from app.accounts.service import Actor
from app.core.errors import NotFound
from app.core.storage import Storage
from app.interchange.files.encodings import Encoding
from app.interchange.sentences.problems import shown
from app.sentences import N_

FOLDER: Final = "incoming"
GONE: Final = N_("The uploaded file is not kept any more. Choose it again.")
_KEPT_SECONDS: Final = 24 * 3600
_COPIED_BYTES: Final = 1024 * 1024
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22}\Z")


class StagedUpload(BaseModel):
    """What is known of a file that waits."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    token: str
    dataset_id: int
    user_id: int
    filename: str
    encoding: Encoding = "auto"


def stage(
    storage: Storage,
    stream: BinaryIO,
    actor: Actor,
    *,
    dataset_id: int,
    filename: str,
    encoding: Encoding,
    spared: Collection[str] = (),
) -> StagedUpload:
    """Keep the whole of the stream. What has waited for too long is removed on this occasion, but for the tokens that
    are spared."""
    sweep(storage, spared)
    upload = StagedUpload(
        token=secrets.token_urlsafe(16),
        dataset_id=dataset_id,
        user_id=actor.user_id,
        filename=shown(filename, 255),
        encoding=encoding,
    )
    stream.seek(0)
    with storage.write(f"{FOLDER}/{upload.token}.data") as file:
        shutil.copyfileobj(stream, file, _COPIED_BYTES)
    with storage.write(f"{FOLDER}/{upload.token}.json") as file:
        file.write(upload.model_dump_json().encode())
    return upload


@contextmanager
def open_staged(
    storage: Storage, actor: Actor, dataset_id: int, token: str
) -> Iterator[tuple[StagedUpload, BinaryIO]]:
    """The file of this person for this dataset. Raises NotFound once it is gone."""
    gone = NotFound(GONE)
    if not _TOKEN.match(token):
        raise gone
    try:
        upload = StagedUpload.model_validate_json(storage.path(f"{FOLDER}/{token}.json").read_bytes())
        file = storage.path(f"{FOLDER}/{token}.data").open("rb")
    except (OSError, ValidationError):
        raise gone from None
    with file:
        if (upload.dataset_id, upload.user_id) != (dataset_id, actor.user_id):
            raise gone
        yield upload, file


def require_file(storage: Storage, token: str) -> Path:
    """Where the file lies. Raises NotFound once it is gone."""
    path = storage.path(f"{FOLDER}/{token}.data")
    if not path.is_file():
        raise NotFound(GONE)
    return path


def is_kept(storage: Storage, token: str) -> bool:
    """Whether the file is still there."""
    return storage.path(f"{FOLDER}/{token}.data").is_file()


def mapping_href(dataset_id: int, token: str) -> str:
    """The page on which somebody says what the columns of this file mean; "" for what cannot be a token."""
    return f"/datasets/{dataset_id}/import/mapping/{token}" if _TOKEN.match(token) else ""


def forget(storage: Storage, token: str) -> None:
    """It is imported, or not wanted."""
    for kind in ("data", "json"):
        storage.remove(f"{FOLDER}/{token}.{kind}")


def sweep(storage: Storage, spared: Collection[str] = ()) -> None:
    """Remove what has waited for longer than a day, but for the tokens that are spared."""
    oldest = time.time() - _KEPT_SECONDS
    for path in storage.folder(FOLDER).iterdir():
        if path.stem not in spared and _age(path) < oldest:
            path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # swept by somebody else
        return 0.0
