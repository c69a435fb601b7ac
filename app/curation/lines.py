"""The list of datasets: each with its counts, its newest change, its versions."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, select

from app.conversations.counts import DatasetCounts, counts_by_dataset
from app.conversations.models import Conversation
from app.datasets.models import Dataset
from app.versions.models import DatasetVersion


def list_datasets(session: Session, *, archived: bool | None = False) -> list[tuple[Dataset, DatasetCounts]]:
    """Datasets, newest first, with their counts (two queries); `archived` None gives both kinds."""
    statement = select(Dataset).order_by(col(Dataset.id).desc())
    if archived is not None:
        put_away = col(Dataset.archived_at).is_not(None)
        statement = statement.where(put_away if archived else ~put_away)
    counts = counts_by_dataset(session)
    return [
        (dataset, counts.get(dataset.id or 0) or DatasetCounts.by_state({}))
        for dataset in session.exec(statement)
    ]


@dataclass(frozen=True)
class DatasetLine:
    """A dataset as the list of datasets shows it."""

    dataset: Dataset
    counts: DatasetCounts
    changed_at: datetime
    version_count: int
    newest_version: int | None


def dataset_lines(session: Session, *, archived: bool = False) -> list[DatasetLine]:
    """The datasets at hand, or the archived ones, newest first; four queries however many there are."""
    # One look into the index a dataset; grouping would read every entry.
    newest = (
        select(Conversation.updated_at)
        .where(Conversation.dataset_id == Dataset.id)
        .order_by(col(Conversation.updated_at).desc())
        .limit(1)
    )
    changes = select(Dataset.id, newest.scalar_subquery())
    changed = {owner: moment for owner, moment in session.exec(changes) if moment}
    frozen = select(DatasetVersion.dataset_id, func.count(), func.max(DatasetVersion.number)).group_by(
        col(DatasetVersion.dataset_id)
    )
    versions = {owner: (count, number) for owner, count, number in session.exec(frozen)}
    return [
        DatasetLine(
            dataset,
            counts,
            changed.get(dataset.id or 0, dataset.created_at),
            *versions.get(dataset.id or 0, (0, None)),
        )
        for dataset, counts in list_datasets(session, archived=archived)
    ]
