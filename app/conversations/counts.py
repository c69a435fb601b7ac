"""How many conversations a dataset holds, by review state, and what of them waits for somebody."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.conversations.models import Conversation, ReviewState
from app.datasets.models import Dataset


@dataclass(frozen=True)
class DatasetCounts:
    """Conversations of a dataset by review state."""

    draft: int = 0
    handed_in: int = 0
    approved: int = 0
    rejected: int = 0
    discarded: int = 0

    @classmethod
    def of(cls, counts: Mapping[ReviewState, int]) -> "DatasetCounts":
        """From counts by state."""
        return cls(**{state.value: count for state, count in counts.items()})

    @property
    def total(self) -> int:
        """All of them."""
        return self.waiting + self.approved + self.rejected + self.discarded

    @property
    def waiting(self) -> int:
        """Those that nobody has decided on."""
        return self.draft + self.handed_in


def dataset_counts(session: Session, dataset_id: int) -> DatasetCounts:
    """Counts of one dataset."""
    return counts_by_dataset(session, dataset_id).get(dataset_id, DatasetCounts())


def counts_by_dataset(session: Session, dataset_id: int | None = None) -> dict[int, DatasetCounts]:
    """Counts of one dataset, or of every one that holds conversations."""
    statement = select(Conversation.dataset_id, Conversation.review_state, func.count()).group_by(
        col(Conversation.dataset_id), col(Conversation.review_state)
    )
    if dataset_id is not None:
        statement = statement.where(Conversation.dataset_id == dataset_id)
    found: dict[int, dict[str, int]] = {}
    for owner, state, count in session.exec(statement):
        found.setdefault(owner, {})[ReviewState(state).value] = count
    return {owner: DatasetCounts(**by_state) for owner, by_state in found.items()}


@dataclass(frozen=True)
class DeskLine:
    """What of a dataset waits for one person."""

    dataset_id: int
    name: str
    # Their own work, sent back; and what others handed in, for those who review.
    sent_back: int
    to_review: int
    # Drafts that are theirs to work on.
    to_do: int = 0


def _with(line: DeskLine, state: ReviewState, count: int) -> DeskLine:
    if state is ReviewState.REJECTED:
        return replace(line, sent_back=count)
    return replace(line, to_do=count) if state is ReviewState.DRAFT else replace(line, to_review=count)


def desk_of(session: Session, actor: Actor) -> list[DeskLine]:
    """What waits for this person, by dataset at hand; nothing where nothing waits."""
    reviews = actor.may(Permission.CONVERSATION_REVIEW)
    own = sa.and_(
        col(Conversation.review_state) == ReviewState.REJECTED,
        col(Conversation.sent_back_to_user_id) == actor.user_id,
    )
    to_do = sa.and_(
        col(Conversation.review_state) == ReviewState.DRAFT,
        col(Conversation.assigned_to_user_id) == actor.user_id,
    )
    own = sa.or_(own, to_do)
    waits = col(Conversation.review_state) == ReviewState.HANDED_IN
    statement = (
        select(Dataset.id, Dataset.name, Conversation.review_state, func.count())
        .join(Conversation, col(Conversation.dataset_id) == Dataset.id)
        .where(col(Dataset.archived_at).is_(None), sa.or_(own, waits) if reviews else own)
        .group_by(col(Dataset.id), col(Dataset.name), col(Conversation.review_state))
        .order_by(col(Dataset.id).desc())
    )
    found: dict[int, DeskLine] = {}
    for dataset_id, name, state, count in session.exec(statement):
        line = found.get(dataset_id or 0, DeskLine(dataset_id or 0, name, 0, 0))
        found[line.dataset_id] = _with(line, ReviewState(state), count)
    return list(found.values())
