"""Deleting datasets: what stands in the way, and what goes with them."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col, func, select

from app.accounts.service import Actor, record
from app.conversations.counts import dataset_counts
from app.conversations.models import Conversation
from app.core.database import cut_back_log
from app.core.errors import Conflict
from app.core.i18n import gettext
from app.core.logging import get_logger
from app.core.pieces import PIECE, piece, polite_piece
from app.core.storage import Storage
from app.core.transactions import after_commit
from app.datasets import operations
from app.datasets.models import Dataset, OperationKind
from app.datasets.operations import Mine
from app.datasets.service import require_held
from app.imports.models import DatasetImport
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

    It is gone for everybody at once; its conversations are then erased in pieces, each committed. Raises Conflict while
    a run or a mask check needs one of its versions, or while it is being changed as a whole.
    """
    with piece(session):
        operation = _take_away(session, storage, actor, dataset_id)
    erase(session, operation)


def _take_away(session: Session, storage: Storage, actor: Actor, dataset_id: int) -> Mine:
    """Hide it, with all that is short. Its files go after the commit: a transaction that fails must find them in place."""
    dataset = require_held(session, dataset_id)
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
    operation = operations.begin(session, dataset_id, OperationKind.DELETE, actor, total=plan.conversations)
    record(session, actor, "dataset.delete", f"dataset/{dataset_id} {dataset.name}")
    for table in (DatasetVersion, DatasetImport):
        session.execute(sa.delete(table).where(col(table.dataset_id) == dataset_id))
    dataset.hidden = True
    # The name is free again at once; nobody can enter one that begins with a space.
    dataset.name = f" {dataset_id}"
    session.add(dataset)
    session.flush()
    after_commit(session, lambda: _remove_files(storage, orphans))
    return operation


def erase(session: Session, operation: Mine) -> None:
    """Erase what a hidden dataset holds, in pieces, and at last the dataset."""
    table = Conversation.metadata.tables[Conversation.__tablename__]
    some = sa.select(table.c.id).where(table.c.dataset_id == operation.dataset_id).limit(PIECE)
    gone = PIECE
    while gone:
        with polite_piece(session):
            deleted = session.execute(sa.delete(table).where(table.c.id.in_(some)))
            gone = deleted.rowcount  # type: ignore[attr-defined]
            operation.step(session, gone)
    with piece(session):
        session.execute(sa.delete(Dataset).where(col(Dataset.id) == operation.dataset_id))
    session.expunge_all()
    cut_back_log(session.get_bind())


def _remove_files(storage: Storage, keys: set[str]) -> None:
    for key in sorted(keys):
        try:
            storage.remove(key)
        except OSError:
            logger.warning("could not remove %s of a deleted dataset", key, exc_info=True)
