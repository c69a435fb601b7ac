"""How many conversations a dataset holds, by review state."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from app.conversations.models import Conversation, ReviewState


@dataclass(frozen=True)
class DatasetCounts:
    """Conversations of a dataset by review state."""

    draft: int = 0
    approved: int = 0
    rejected: int = 0

    @classmethod
    def of(cls, counts: Mapping[ReviewState, int]) -> "DatasetCounts":
        """From counts by state."""
        return cls(**{state.value: count for state, count in counts.items()})

    @property
    def total(self) -> int:
        """All of them."""
        return self.draft + self.approved + self.rejected


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
