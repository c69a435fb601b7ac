"""Rules of datasets: names, what they hold, who is in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel import Session, col, func, select

from app.accounts.service import Actor, record
from app.conversations.archives import refuse_archived
from app.conversations.models import Conversation, ReviewState
from app.core.errors import Conflict, Invalid, NotFound
from app.datasets.models import Dataset, DatasetVersion
from app.sentences import N_

MAX_DESCRIPTION: Final = 2000
_BATCH: Final = 500


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


def require_dataset(session: Session, dataset_id: int) -> Dataset:
    """The dataset, or NotFound."""
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        raise NotFound(N_("There is no dataset %(id)d."), id=dataset_id)
    return dataset


def require_writable(session: Session, dataset_id: int) -> Dataset:
    """The dataset, held against being archived, deleted or imported into by others until this transaction ends.

    Raises NotFound, or Conflict for an archived one.
    """
    statement = (
        select(Dataset)
        .where(Dataset.id == dataset_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    dataset = session.exec(statement).first()
    if dataset is None:
        raise NotFound(N_("There is no dataset %(id)d."), id=dataset_id)
    refuse_archived(session, dataset_id)
    return dataset


def find_dataset(session: Session, name: str) -> Dataset | None:
    """The dataset of this name, if any."""
    return session.exec(select(Dataset).where(Dataset.name == name.strip())).first()


def create_dataset(session: Session, actor: Actor, *, name: str, description: str = "") -> Dataset:
    """An empty dataset. Raises Invalid for a bad name, Conflict for a taken one."""
    dataset = Dataset(
        name=_free_name(session, name), description=_description(description), created_by=actor.name[:80]
    )
    session.add(dataset)
    session.flush()
    record(session, actor, "dataset.create", f"dataset/{dataset.id}")
    return dataset


def describe_dataset(
    session: Session,
    actor: Actor,
    dataset: Dataset,
    *,
    name: str | None = None,
    description: str | None = None,
) -> None:
    """Rename, describe anew, or both. Raises as create_dataset, and Conflict for an archived one."""
    assert dataset.id is not None
    require_writable(session, dataset.id)
    if name is not None and name.strip() != dataset.name:
        dataset.name = _free_name(session, name)
    if description is not None:
        dataset.description = _description(description)
    session.add(dataset)
    session.flush()
    record(session, actor, "dataset.describe", f"dataset/{dataset.id}")


def _free_name(session: Session, name: str) -> str:
    name = name.strip()
    if not name or len(name) > 80:
        raise Invalid(N_("Enter a name of 1 to 80 characters."), field="name")
    taken = find_dataset(session, name)
    if taken and taken.archived_at:
        raise Conflict(
            N_("An archived dataset is named “%(name)s”. Choose another name, or restore it."),
            field="name",
            name=name,
        )
    if taken:
        raise Conflict(N_("There is already a dataset named “%(name)s”."), field="name", name=name)
    return name


def _description(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_DESCRIPTION:
        raise Invalid(
            N_("The description is longer than %(limit)d characters."),
            field="description",
            limit=MAX_DESCRIPTION,
        )
    return text


def list_datasets(session: Session, *, archived: bool | None = False) -> list[tuple[Dataset, DatasetCounts]]:
    """Datasets, newest first, with their counts (two queries); `archived` None gives both kinds."""
    statement = select(Dataset).order_by(col(Dataset.id).desc())
    if archived is not None:
        put_away = col(Dataset.archived_at).is_not(None)
        statement = statement.where(put_away if archived else ~put_away)
    counts = _counts(session)
    return [(dataset, counts.get(dataset.id or 0, DatasetCounts())) for dataset in session.exec(statement)]


def count_archived(session: Session) -> int:
    """How many datasets are put away."""
    return session.exec(select(func.count()).where(col(Dataset.archived_at).is_not(None))).one()


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
    newest = select(func.max(Conversation.updated_at)).where(Conversation.dataset_id == Dataset.id)
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


def dataset_counts(session: Session, dataset_id: int) -> DatasetCounts:
    """Counts of one dataset."""
    return _counts(session, dataset_id).get(dataset_id, DatasetCounts())


def _counts(session: Session, dataset_id: int | None = None) -> dict[int, DatasetCounts]:
    statement = select(Conversation.dataset_id, Conversation.review_state, func.count()).group_by(
        col(Conversation.dataset_id), col(Conversation.review_state)
    )
    if dataset_id is not None:
        statement = statement.where(Conversation.dataset_id == dataset_id)
    found: dict[int, dict[str, int]] = {}
    for owner, state, count in session.exec(statement):
        found.setdefault(owner, {})[ReviewState(state).value] = count
    return {owner: DatasetCounts(**by_state) for owner, by_state in found.items()}


def draft_ids(session: Session, dataset_id: int) -> list[int]:
    """Ids of all conversations that wait for review."""
    statement = select(Conversation.id).where(
        Conversation.dataset_id == dataset_id, col(Conversation.review_state) == ReviewState.DRAFT
    )
    return [found for found in session.exec(statement) if found is not None]


def require_members(session: Session, dataset_id: int, conversation_ids: Sequence[int]) -> None:
    """Raises NotFound for a conversation that is not (or no longer) in this dataset."""
    wanted = sorted(set(conversation_ids))
    for start in range(0, len(wanted), _BATCH):
        part = wanted[start : start + _BATCH]
        statement = select(Conversation.id).where(
            Conversation.dataset_id == dataset_id, col(Conversation.id).in_(part)
        )
        missing = set(part) - set(session.exec(statement))
        if missing:
            raise NotFound(N_("There is no conversation %(id)d. It may have been deleted."), id=min(missing))
