"""Putting datasets away: archived ones are read-only and out of the lists, deleted ones are gone for good."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col, func, select

from app.accounts.service import Actor, record
from app.conversations.counts import dataset_counts
from app.core.errors import Conflict
from app.core.i18n import gettext
from app.core.logging import get_logger
from app.core.storage import Storage
from app.core.transactions import after_commit
from app.datasets.service import require_dataset
from app.imports.service import count_imports
from app.sentences import N_
from app.versions.models import DatasetVersion

logger = get_logger(__name__)
# How the users of a version are called; a table that is not named here still counts.
_USER_WORDS: Final = {"run": N_("runs: %(count)d"), "mask_check": N_("mask checks: %(count)d")}


@dataclass(frozen=True)
class Removal:
    """What deleting a dataset would take with it, and what stands in the way."""

    conversations: int
    versions: int
    imports: int
    # Rows of other domains that need one of its versions, by table: {"run": 2}.
    users: dict[str, int]

    @property
    def is_allowed(self) -> bool:
        """Whether nothing needs its versions any more."""
        return not self.users

    @property
    def users_text(self) -> str:
        """What needs its versions, in the reader's language."""
        return ", ".join(
            gettext(_USER_WORDS.get(name, name + ": %(count)d")) % {"count": count}
            for name, count in sorted(self.users.items())
        )


def plan_removal(session: Session, dataset_id: int) -> Removal:
    """What would go, and why it perhaps may not."""
    versions = select(func.count()).where(DatasetVersion.dataset_id == dataset_id)
    return Removal(
        conversations=dataset_counts(session, dataset_id).total,
        versions=session.exec(versions).one(),
        imports=count_imports(session, dataset_id),
        users=_users(session, dataset_id),
    )


def _users(session: Session, dataset_id: int) -> dict[str, int]:
    """Rows that refer to a version of the dataset, told by the foreign keys so that no table is forgotten."""
    versions = select(DatasetVersion.id).where(DatasetVersion.dataset_id == dataset_id)
    found: dict[str, int] = {}
    for table in SQLModel.metadata.sorted_tables:
        for column in table.columns:
            if any(key.column.table.name == DatasetVersion.__tablename__ for key in column.foreign_keys):
                statement = sa.select(sa.func.count()).select_from(table).where(column.in_(versions))
                count = session.execute(statement).scalar_one()
                if count:
                    found[table.name] = found.get(table.name, 0) + count
    return found


def delete_dataset(session: Session, storage: Storage, actor: Actor, dataset_id: int) -> None:
    """Erase the dataset with its conversations, their histories, its versions and its import reports.

    Raises Conflict while a run or a mask check needs one of its versions. The frozen files go once the rest is
    committed: a transaction that fails must find them in place.
    """
    dataset = require_dataset(session, dataset_id)
    # Held: whoever is about to use a version waits for us, or is counted below.
    held = select(DatasetVersion).where(DatasetVersion.dataset_id == dataset_id).with_for_update()
    keys: set[str] = {version.storage_key for version in session.exec(held)}
    plan = plan_removal(session, dataset_id)
    if not plan.is_allowed:
        raise Conflict(
            N_(
                "“%(name)s” cannot be deleted: its versions are needed by others (%(users)s), and a run must stay "
                "repeatable. Archive the dataset instead: it leaves the lists and can be restored."
            ),
            name=dataset.name,
            users=plan.users_text,
        )
    elsewhere = select(DatasetVersion.storage_key).where(
        col(DatasetVersion.storage_key).in_(keys), DatasetVersion.dataset_id != dataset_id
    )
    still_needed: list[str] = list(session.exec(elsewhere))
    orphans = keys.difference(still_needed)
    session.delete(dataset)
    record(session, actor, "dataset.delete", f"dataset/{dataset_id} {dataset.name}")
    session.flush()
    after_commit(session, lambda: _remove_files(storage, orphans))


def _remove_files(storage: Storage, keys: set[str]) -> None:
    for key in sorted(keys):
        try:
            storage.remove(key)
        except OSError:
            logger.warning("could not remove %s of a deleted dataset", key, exc_info=True)
