"""Rules of datasets: names, imports that take all or nothing, counts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Final

from sqlmodel import Session, col, func, select

from app.accounts.service import Actor, record
from app.conversations.filters import ConversationFilter
from app.conversations.models import Conversation, ReviewState
from app.conversations.service import build_conversation
from app.core.errors import Conflict, Invalid, NotFound, StudioError
from app.core.i18n import N_
from app.datasets.models import Dataset, DatasetImport, DatasetVersion
from app.interchange import (
    Format,
    ImportLimits,
    ImportReport,
    LineProblem,
    ParsedConversation,
    read_conversations,
)

_BATCH: Final = 500


@dataclass(frozen=True)
class DatasetCounts:
    """Conversations of a dataset by review state."""

    draft: int = 0
    approved: int = 0
    rejected: int = 0

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


def find_dataset(session: Session, name: str) -> Dataset | None:
    """The dataset of this name, if any."""
    return session.exec(select(Dataset).where(Dataset.name == name.strip())).first()


def create_dataset(session: Session, actor: Actor, *, name: str, description: str = "") -> Dataset:
    """An empty dataset. Raises Invalid for a bad name, Conflict for a taken one."""
    name = name.strip()
    if not name or len(name) > 80:
        raise Invalid(N_("Enter a name of 1 to 80 characters."), field="name")
    if find_dataset(session, name):
        raise Conflict(N_("There is already a dataset named “%(name)s”."), field="name", name=name)
    dataset = Dataset(name=name, description=description.strip()[:2000], created_by=actor.name[:80])
    session.add(dataset)
    session.flush()
    record(session, actor, "dataset.create", f"dataset/{dataset.id}")
    return dataset


def list_datasets(session: Session) -> list[tuple[Dataset, DatasetCounts]]:
    """All datasets, newest first, with their counts (two queries)."""
    datasets = session.exec(select(Dataset).order_by(col(Dataset.id).desc())).all()
    counts = _counts(session)
    return [(dataset, counts.get(dataset.id or 0, DatasetCounts())) for dataset in datasets]


@dataclass(frozen=True)
class DatasetLine:
    """A dataset as the list of datasets shows it."""

    dataset: Dataset
    counts: DatasetCounts
    changed_at: datetime
    version_count: int
    newest_version: int | None


def dataset_lines(session: Session) -> list[DatasetLine]:
    """All datasets, newest first; four queries however many there are."""
    changes = select(Conversation.dataset_id, func.max(Conversation.updated_at)).group_by(
        col(Conversation.dataset_id)
    )
    changed = dict(session.exec(changes).all())
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
        for dataset, counts in list_datasets(session)
    ]


def counts_within(session: Session, where: ConversationFilter) -> DatasetCounts:
    """Conversations by review state, as far as the rest of the filter lets them through."""
    statement = where.but(review_state=None).apply(
        select(Conversation.review_state, func.count()).group_by(col(Conversation.review_state))  # type: ignore[arg-type]
    )
    return DatasetCounts(**{ReviewState(state).value: count for state, count in session.exec(statement)})


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


def import_file(
    session: Session,
    dataset: Dataset,
    actor: Actor,
    stream: BinaryIO,
    *,
    filename: str,
    format: Format = "auto",
    skip_bad: bool = False,
    limits: ImportLimits | None = None,
) -> DatasetImport:
    """Bring in a file. With any problem nothing comes in, unless `skip_bad`; the report is stored either way.

    Conversations that the dataset already has (same content) are counted and left out.
    """
    assert dataset.id is not None
    report = ImportReport()
    seen = set(session.exec(select(Conversation.content_hash).where(Conversation.dataset_id == dataset.id)))
    savepoint = session.begin_nested()
    items = read_conversations(stream, filename=filename, format=format, limits=limits or ImportLimits())
    already_there = 0
    batch: list[Conversation] = []
    for row in _rows(items, report, dataset.id, actor):
        if row.content_hash in seen:
            already_there += 1
            continue
        seen.add(row.content_hash)
        batch.append(row)
        if len(batch) >= _BATCH:
            session.add_all(batch)
            session.flush()
            batch = []
    session.add_all(batch)
    session.flush()
    all_in = skip_bad or report.problem_count == 0
    savepoint.commit() if all_in else savepoint.rollback()
    stored = DatasetImport(
        dataset_id=dataset.id,
        filename=filename[:255],
        format=report.format or format,
        accepted=report.accepted - already_there if all_in else 0,
        duplicates=report.duplicates + already_there,
        problem_count=report.problem_count,
        problems=[_problem_json(problem) for problem in report.problems],
        created_by=actor.name[:80],
    )
    session.add(stored)
    session.flush()
    record(session, actor, "dataset.import", f"dataset/{dataset.id}")
    return stored


def _rows(
    items: Iterator[ParsedConversation | LineProblem], report: ImportReport, dataset_id: int, actor: Actor
) -> Iterator[Conversation]:
    for item in items:
        if isinstance(item, ParsedConversation):
            try:
                row = build_conversation(dataset_id, item.conversation, author=actor.name)
            except StudioError as error:
                report.add(LineProblem(item.line, "invalid", error.message, dict(error.params)))
                continue
            if report.add(item):
                yield row
        else:
            report.add(item)


def _problem_json(problem: LineProblem) -> dict[str, Any]:
    return {
        "line": problem.line,
        "code": problem.code,
        "message": problem.message,
        "params": dict(problem.params),
    }


def list_imports(session: Session, dataset_id: int) -> list[DatasetImport]:
    """Imports of a dataset, newest first."""
    statement = select(DatasetImport).where(DatasetImport.dataset_id == dataset_id)
    return list(session.exec(statement.order_by(col(DatasetImport.id).desc())))


def count_imports(session: Session, dataset_id: int) -> int:
    """How many files were imported or tried."""
    statement = select(func.count()).where(DatasetImport.dataset_id == dataset_id)
    return session.exec(statement).one()


def require_import(session: Session, import_id: int) -> DatasetImport:
    """The stored import report, or NotFound."""
    found = session.get(DatasetImport, import_id)
    if found is None:
        raise NotFound(N_("There is no import %(id)d."), id=import_id)
    return found


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
