"""Imports: a file brings in all of its conversations or none, and leaves a report by line either way."""

from typing import Any, Final

from sqlmodel import Session, col, func, select

from app.accounts.service import Actor, record
from app.conversations.drafts import insert_drafts
from app.conversations.duplicates import known_words
from app.core.errors import NotFound
from app.datasets.models import Dataset
from app.datasets.service import create_dataset, find_dataset, require_writable
from app.imports.incoming import IncomingFile, remark_json
from app.imports.models import DatasetImport
from app.sentences import N_

_BATCH: Final = 500
_KEPT_NOTES: Final = 200


def import_file(session: Session, dataset_id: int, actor: Actor, file: IncomingFile) -> DatasetImport:
    """Bring in a file; the report is stored, whatever comes in.

    Conversations that the dataset already has (the same words) are counted and left out. Raises NotFound, and
    Conflict for an archived dataset.
    """
    require_writable(session, dataset_id)
    return _keep(session, _bring_in(session, dataset_id, actor, file), actor)


def import_by_name(session: Session, name: str, actor: Actor, file: IncomingFile) -> DatasetImport:
    """As import_file, into the dataset of this name; it is made if there is none.

    A file that brings nothing makes no dataset either: its report then has no id and is not stored.
    """
    existing = find_dataset(session, name)
    if existing is not None and existing.id is not None:
        return import_file(session, existing.id, actor, file)
    attempt = session.begin_nested()
    made: Dataset = create_dataset(session, actor, name=name)
    assert made.id is not None
    found = _bring_in(session, made.id, actor, file)
    if not found.accepted:
        attempt.rollback()
        return found
    attempt.commit()
    return _keep(session, found, actor)


def _bring_in(session: Session, dataset_id: int, actor: Actor, file: IncomingFile) -> DatasetImport:
    """Store what is new. The report, not yet added."""
    report = file.report
    found = DatasetImport(
        dataset_id=dataset_id,
        filename=file.filename,
        format=file.format,
        duplicates=report.duplicates,
        problem_count=report.problem_count,
        problems=[remark_json(problem) for problem in report.problems],
        created_by=actor.name[:80],
    )
    if not file.comes_in:
        return found
    seen = known_words(session, dataset_id)
    all_notes: list[dict[str, Any]] = []
    batch: list[dict[str, Any]] = []
    already_there = note_count = 0
    for columns, notes in file.conversations():
        if columns["words_hash"] in seen:
            already_there += 1
            continue
        seen.add(columns["words_hash"])
        batch.append(columns)
        note_count += len(notes)
        all_notes.extend(notes[: max(0, _KEPT_NOTES - len(all_notes))])
        if len(batch) >= _BATCH:
            insert_drafts(session, dataset_id, batch, author=actor.name)
            batch = []
    insert_drafts(session, dataset_id, batch, author=actor.name)
    found.accepted = report.accepted - already_there
    found.duplicates += already_there
    found.note_count, found.notes = note_count, all_notes
    return found


def _keep(session: Session, found: DatasetImport, actor: Actor) -> DatasetImport:
    session.add(found)
    session.flush()
    record(session, actor, "dataset.import", f"dataset/{found.dataset_id}")
    return found


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
