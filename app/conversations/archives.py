"""Conversations of an archived dataset are read-only.

Datasets build on conversations, so all that is known of them here is the table that the foreign key names.
"""

import sqlalchemy as sa
from sqlmodel import Session

from app.core.errors import Conflict
from app.sentences import N_

_DATASET = sa.table("dataset", sa.column("id"), sa.column("name"), sa.column("archived_at"))


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
    statement = sa.select(_DATASET.c.name).where(
        _DATASET.c.id == dataset_id, _DATASET.c.archived_at.is_not(None)
    )
    return session.execute(statement).scalar()
