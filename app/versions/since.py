"""What became of a version's conversations since they were frozen: changed, not approved any more, or gone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from app.conversations.models import Conversation, ReviewState
from app.core.storage import Storage
from app.dialogue.hashes import content_hash
from app.dialogue.labels import LABELS
from app.versions.frozen import frozen_conversation, frozen_ids
from app.versions.models import DatasetVersion


class _Touched(NamedTuple):
    """A conversation to which something was done after the freeze, as it is now."""

    id: int
    is_approved: bool
    content_hash: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Now:
    """The dataset's conversations by id, and those that were touched since a freeze."""

    ids: frozenset[int]
    touched: tuple[_Touched, ...]


@dataclass(frozen=True)
class Since:
    """Numbers of a version's conversations: `unapproved` now, `changed` in words, flags, tools or labels and approved that way,
    `gone` from the dataset.
    """

    unapproved: int = 0
    changed: int = 0
    gone: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether all of them are as they were approved."""
        return not (self.unapproved or self.changed or self.gone)


def read_now(session: Session, version: DatasetVersion) -> Now:
    """What the database says; compare it with the version's file once the connection is let go."""
    ids = session.exec(select(Conversation.id).where(Conversation.dataset_id == version.dataset_id))
    touched = session.execute(
        sa.select(
            col(Conversation.id),
            col(Conversation.review_state),
            col(Conversation.content_hash),
            *(getattr(Conversation, name) for name in LABELS),
        ).where(
            col(Conversation.dataset_id) == version.dataset_id,
            col(Conversation.updated_at) > version.created_at,
        )
    )
    return Now(
        frozenset(one for one in ids if one is not None),
        tuple(
            _Touched(
                row.id, row.review_state is ReviewState.APPROVED, row.content_hash, _labels(row._mapping)
            )
            for row in touched
        ),
    )


def since_freeze(storage: Storage, version: DatasetVersion, now: Now) -> Since:
    """Reads the version's file: no connection may be held. Raises Conflict when that is not what was frozen."""
    frozen = frozen_ids(storage, version)
    touched = [one for one in now.touched if one.id in frozen]
    approved = [one for one in touched if one.is_approved]
    changed = 0
    for one in approved:
        then = frozen_conversation(storage, version, one.id)
        changed += (content_hash(then), _labels(then)) != (one.content_hash, one.labels)
    return Since(len(touched) - len(approved), changed, len(frozen - now.ids))


def _labels(values: Mapping[Any, Any]) -> tuple[str, ...]:
    return tuple(str(values.get(name) or "") for name in LABELS)
