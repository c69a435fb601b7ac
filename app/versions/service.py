"""Frozen versions: finding them, reading them."""

import json
from collections.abc import Iterator

from sqlmodel import Session, col, select

from app.core.errors import NotFound
from app.core.storage import Storage
from app.datasets.models import Dataset
from app.dialogue.conversation import FrozenConversation
from app.sentences import N_
from app.versions.models import DatasetVersion


def require_version(session: Session, version_id: int) -> DatasetVersion:
    """The version, or NotFound."""
    version = session.get(DatasetVersion, version_id)
    if version is None:
        raise NotFound(N_("There is no dataset version %(id)d."), id=version_id)
    return version


def list_versions(session: Session, dataset_id: int | None = None) -> list[DatasetVersion]:
    """Versions, newest first; of one dataset, or of all that are not archived."""
    statement = select(DatasetVersion).order_by(col(DatasetVersion.id).desc())
    if dataset_id is not None:
        statement = statement.where(DatasetVersion.dataset_id == dataset_id)
    else:
        statement = statement.join(Dataset).where(col(Dataset.archived_at).is_(None))
    return list(session.exec(statement))


def read_version(storage: Storage, version: DatasetVersion) -> Iterator[FrozenConversation]:
    """The frozen conversations, one at a time."""
    with storage.path(version.storage_key).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
