"""What REST shows of datasets."""

from datetime import datetime

from app.accounts.who import CreatedByOut
from app.conversations.counts import DatasetCounts
from app.datasets.models import Dataset


class DatasetOut(CreatedByOut, DatasetCounts):
    """A dataset with its counts. An archived one is read-only."""

    id: int
    name: str
    description: str
    created_at: datetime
    archived_at: datetime | None

    @classmethod
    def of(cls, dataset: Dataset, counts: DatasetCounts) -> "DatasetOut":
        """From the stored row and its counts."""
        assert dataset.id is not None
        return cls(
            id=dataset.id,
            name=dataset.name,
            description=dataset.description,
            **dataset.creator.columns(),
            created_at=dataset.created_at,
            archived_at=dataset.archived_at,
            **counts.model_dump(),
        )
