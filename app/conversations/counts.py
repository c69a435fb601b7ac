"""How many conversations a dataset holds, by review state, and what of them waits for somebody."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict
from sqlmodel import Session, col, func, select

from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.conversations.models import Conversation, ReviewState
from app.datasets.models import Dataset


class DatasetCounts(BaseModel):
    """Conversations of a dataset by review state, as pages and REST show them."""

    model_config = ConfigDict(frozen=True)

    draft: int
    handed_in: int
    approved: int
    rejected: int
    discarded: int

    @classmethod
    def by_state(cls, counts: Mapping[ReviewState, int]) -> "DatasetCounts":
        """From counts by state; none of what is not named."""
        return DatasetCounts(**{state.value: counts.get(state, 0) for state in ReviewState})

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
    return counts_by_dataset(session, dataset_id).get(dataset_id) or DatasetCounts.by_state({})


def counts_by_dataset(session: Session, dataset_id: int | None = None) -> dict[int, DatasetCounts]:
    """Counts of one dataset, or of every one that holds conversations."""
    statement = select(Conversation.dataset_id, Conversation.review_state, func.count()).group_by(
        col(Conversation.dataset_id), col(Conversation.review_state)
    )
    if dataset_id is not None:
        statement = statement.where(Conversation.dataset_id == dataset_id)
    found: dict[int, dict[ReviewState, int]] = {}
    for owner, state, count in session.exec(statement):
        found.setdefault(owner, {})[ReviewState(state)] = count
    return {owner: DatasetCounts.by_state(by_state) for owner, by_state in found.items()}


@dataclass
class PendingWork:
    """What of a dataset waits for one person."""

    dataset_id: int
    name: str
    # Their own work, sent back; and what others handed in, for those who review.
    sent_back: int = 0
    to_review: int = 0
    # Drafts that are theirs to work on.
    to_do: int = 0


def pending_work(session: Session, actor: Actor) -> list[PendingWork]:
    """What waits for this person, by dataset at hand; nothing where nothing waits."""
    own = {
        "sent_back": (ReviewState.REJECTED, col(Conversation.sent_back_to_user_id) == actor.user_id),
        "to_do": (ReviewState.DRAFT, col(Conversation.assigned_to_user_id) == actor.user_id),
    }
    anybodys = {"to_review": (ReviewState.HANDED_IN, sa.true())}
    found: dict[int, PendingWork] = {}
    # One after the other: each has an index of its own, and together they would read every conversation.
    for pile, (state, whose) in (
        own | (anybodys if actor.may(Permission.CONVERSATION_REVIEW) else {})
    ).items():
        statement = (
            select(Dataset.id, Dataset.name, func.count())
            .join(Conversation, col(Conversation.dataset_id) == Dataset.id)
            .where(col(Dataset.archived_at).is_(None), col(Conversation.review_state) == state, whose)
            .group_by(col(Dataset.id), col(Dataset.name))
        )
        for dataset_id, name, count in session.exec(statement):
            setattr(found.setdefault(dataset_id or 0, PendingWork(dataset_id or 0, name)), pile, count)
    return sorted(found.values(), key=lambda line: -line.dataset_id)
