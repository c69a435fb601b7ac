"""Frozen versions: finding them, reading them."""

import json
from collections.abc import Iterator

from sqlmodel import Session, col, select

from app.accounts.service import Actor, record
from app.core.errors import NotFound
from app.core.storage import Storage
from app.datasets.models import Dataset
from app.datasets.service import require_writable
from app.dialogue.conversation import FrozenConversation
from app.sentences import N_
from app.versions.models import DatasetVersion
from app.versions.options import checked_name, checked_note


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


def require_number(session: Session, dataset_id: int, number: int) -> DatasetVersion:
    """The dataset's version of this number, or NotFound."""
    of_number = (DatasetVersion.dataset_id == dataset_id, DatasetVersion.number == number)
    version = session.exec(select(DatasetVersion).where(*of_number)).first()
    if version is None:
        raise NotFound(N_("This dataset has no version %(number)d."), number=number)
    return version


def require_neighbours(session: Session, version_id: int) -> tuple[DatasetVersion, DatasetVersion]:
    """The dataset's version before, and the version. Raises NotFound when there is no such version or none before it."""
    version = require_version(session, version_id)
    statement = (
        select(DatasetVersion)
        .where(DatasetVersion.dataset_id == version.dataset_id, DatasetVersion.number < version.number)
        .order_by(col(DatasetVersion.number).desc())
        .limit(1)
    )
    before = session.exec(statement).first()
    if before is None:
        raise NotFound(N_("Version %(number)d is the first of its dataset."), number=version.number)
    return before, version


def describe_version(
    session: Session,
    actor: Actor,
    version: DatasetVersion,
    *,
    name: str | None = None,
    note: str | None = None,
) -> None:
    """Name it anew, note something, or both; what is frozen stays as it is. Raises Invalid, and Conflict for an archived
    dataset."""
    require_writable(session, version.dataset_id)
    if name is not None:
        version.name = checked_name(name)
    if note is not None:
        version.note = checked_note(note)
    session.add(version)
    session.flush()
    record(session, actor, "version.describe", f"version/{version.id}")


def read_version(storage: Storage, version: DatasetVersion) -> Iterator[FrozenConversation]:
    """The frozen conversations, one at a time."""
    with storage.path(version.storage_key).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
