"""Archived datasets are out of the lists and read-only; so are their conversations."""

from sqlmodel import Session, col, select

from app.core.errors import Conflict
from app.datasets.models import Dataset
from app.sentences import N_


def is_archived(session: Session, dataset_id: int) -> bool:
    """Whether the dataset takes no changes."""
    return _archived_name(session, dataset_id) is not None


def refuse_archived(session: Session, dataset_id: int) -> None:
    """Raises Conflict when the dataset takes no changes."""
    name = _archived_name(session, dataset_id)
    if name is not None:
        raise Conflict(
            N_("The dataset “%(name)s” is archived and read-only. Restore it in its settings first."),
            name=name,
        )


def _archived_name(session: Session, dataset_id: int) -> str | None:
    statement = select(Dataset.name).where(Dataset.id == dataset_id, col(Dataset.archived_at).is_not(None))
    return session.exec(statement).first()
