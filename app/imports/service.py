"""Imports: a file brings in all of its conversations or none, and leaves a report by line either way.

Conversations are written in short pieces under a staging mark and become visible all at once; see
`datasets/operations.py`.
"""

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, func, select

from app.accounts.service import Actor, record
from app.conversations.drafts import insert_drafts
from app.conversations.models import Conversation
from app.core.errors import NotFound, StudioError
from app.core.logging import get_logger
from app.core.pieces import PIECE, go_on, in_batches, piece, polite_piece
from app.datasets import operations
from app.datasets.models import Dataset, OperationKind
from app.datasets.operations import Mine
from app.datasets.service import create_dataset, find_dataset, free_name, require_writable
from app.imports.corrections import KEPT_NOTES, Corrections, waiting_for_a_choice
from app.imports.incoming import ReadFile
from app.imports.models import REPORTED, DatasetImport
from app.imports.work import FileReport, SameQuestions
from app.sentences import N_

logger = get_logger(__name__)
Told = Callable[[int, int], None]


def _untold(_done: int, _total: int) -> None:
    """Nobody wants to know."""


def import_file(
    session: Session, dataset_id: int, actor: Actor, file: ReadFile, same: SameQuestions = "keep"
) -> DatasetImport:
    """Bring in a file; the report is stored, whatever comes in. Commits in pieces.

    Conversations that the dataset already has (the same words) are counted and left out; `same` says what becomes of
    those that ask the same and answer otherwise. With "ask" nothing comes in while there are any. Raises NotFound, and
    Conflict for an archived dataset or one that is being changed as a whole.
    """
    report = file.report
    asked = new_report(dataset_id, actor, report)
    if same == "ask" and report.brings_anything:
        waiting_for_a_choice(session, dataset_id, file, asked)
    with piece(session):
        require_writable(session, dataset_id)
        if asked.waits_for_choice:
            asked.accepted = 0
            return keep(session, asked, actor)
        if not report.brings_anything:
            return keep(session, new_report(dataset_id, actor, report), actor)
        operation = operations.begin(session, dataset_id, OperationKind.IMPORT, actor, total=report.accepted)
    return _bring_in(session, operation, actor, file, same)


def import_by_name(
    session: Session, name: str, actor: Actor, file: ReadFile, same: SameQuestions = "keep"
) -> DatasetImport:
    """As import_file, into the dataset of this name; it is made if there is none, and appears with what it holds.

    A file that brings nothing makes no dataset either: its report then has no id and is not stored.
    """
    existing = find_dataset(session, name)
    if existing is not None and existing.id is not None:
        return import_file(session, existing.id, actor, file, same)
    if not file.report.brings_anything:
        free_name(session, name)
        return new_report(0, actor, file.report)
    with piece(session):
        made = create_dataset(session, actor, name=name, hidden=True)
        assert made.id is not None
        operation = operations.begin(
            session, made.id, OperationKind.IMPORT, actor, total=file.report.accepted
        )
    return _bring_in(session, operation, actor, file, same)


def _bring_in(
    session: Session, operation: Mine, actor: Actor, file: ReadFile, choice: SameQuestions
) -> DatasetImport:
    found = new_report(operation.dataset_id, actor, file.report)
    corrections = Corrections(operation.dataset_id, choice)
    try:
        write(session, operation, actor, file, found, corrections)
        stored = publish(session, operation, actor, found)
    except BaseException:
        session.rollback()
        undo_or_leave(session, operation)
        raise
    corrections.replace(session, actor, file, stored)
    return stored


def write(
    session: Session,
    operation: Mine,
    actor: Actor,
    file: ReadFile,
    found: DatasetImport,
    corrections: Corrections,
    told: Told = _untold,
) -> None:
    """Store what is new, under the mark; the report is completed. Memory holds one piece, however long the file is.

    `told` hears after each piece how many of how many conversations are done, and may raise.
    """
    done, total = 0, file.report.accepted
    for batch in file.pieces():
        fresh = []
        seen = corrections.look(session, [columns for columns, _, _ in batch])
        for columns, notes, line in batch:
            if columns["words_hash"] in seen:
                found.accepted -= 1
                found.duplicates += 1
                continue
            if not corrections.take(columns, line, found):
                found.accepted -= 1
                continue
            fresh.append(columns)
            found.note_count += len(notes)
            if notes and len(found.notes) < KEPT_NOTES:
                found.notes = [*found.notes, *notes][:KEPT_NOTES]
        with polite_piece(session):
            operation.step(session, len(batch))
            insert_drafts(session, operation.dataset_id, fresh, author=actor.who, staged_by=operation.id)
        done += len(batch)
        told(done, total)


def publish(
    session: Session, operation: Mine, actor: Actor, found: DatasetImport, *, into: int | None = None
) -> DatasetImport:
    """Everything is written: from here on it is there for every reader. The stored report, `into` the one of this id
    where that is there already."""
    with piece(session):
        operation.finish(session)
        _show_dataset(session, operation.dataset_id)
        _give_way(session, operation, found)
        found.operation_id = operation.id
        return keep(session, found, actor, into=into)


def undo_or_leave(session: Session, operation: Mine, keep_on: Callable[[], None] = go_on) -> None:
    """As undo(); what cannot be undone now is left to whoever sweeps."""
    try:
        undo(session, operation, keep_on)
    except (SQLAlchemyError, StudioError):
        logger.warning("an import could not be undone now; it will be later", exc_info=True)


def undo(session: Session, operation: Mine, keep_on: Callable[[], None] = go_on) -> None:
    """Erase what an import wrote that did not come to its end, in pieces; and the dataset that it made, if any.

    `keep_on` is called after each piece.
    """
    table = Conversation.metadata.tables[Conversation.__tablename__]
    staged = (
        sa.select(table.c.id)
        .where(table.c.dataset_id == operation.dataset_id, table.c.staged_by == operation.id)
        .order_by(table.c.id)
        .limit(PIECE)
    )
    while True:
        with polite_piece(session):
            operation.step(session, 0)
            gone = session.execute(sa.delete(table).where(table.c.id.in_(staged)))
            if not gone.rowcount:  # type: ignore[attr-defined]
                operation.forget(session)
                session.execute(
                    sa.delete(Dataset).where(col(Dataset.id) == operation.dataset_id, col(Dataset.hidden))
                )
                return
        keep_on()


def _give_way(session: Session, operation: Mine, found: DatasetImport) -> None:
    """What somebody wrote meanwhile word for word, who could not see ours, stays; ours is left out as a duplicate."""
    table = Conversation.metadata.tables[Conversation.__tablename__]
    # Held: nobody may add or change words between this look and the commit.
    held = select(Dataset.id).where(Dataset.id == operation.dataset_id).with_for_update(key_share=True)
    session.exec(held).first()
    own = sa.and_(table.c.dataset_id == operation.dataset_id, table.c.staged_by == operation.id)
    meanwhile = sa.select(table.c.words_hash).where(
        table.c.dataset_id == operation.dataset_id,
        table.c.staged_by.is_distinct_from(operation.id),
        table.c.updated_at >= operation.began_at,
    )
    said = session.execute(meanwhile).scalars().all()
    for batch in in_batches(said, PIECE):
        gone = session.execute(sa.delete(table).where(own, table.c.words_hash.in_(batch)))
        count: int = gone.rowcount  # type: ignore[attr-defined]
        found.accepted -= count
        found.duplicates += count


def _show_dataset(session: Session, dataset_id: int) -> None:
    session.execute(sa.update(Dataset).where(col(Dataset.id) == dataset_id).values(hidden=False))


def new_report(dataset_id: int, actor: Actor, read: FileReport) -> DatasetImport:
    """What is known before anything is written; not yet added."""
    return DatasetImport(
        dataset_id=dataset_id,
        filename=read.filename,
        format=read.format,
        accepted=read.accepted if read.brings_anything else 0,
        duplicates=read.duplicates,
        problem_count=read.problem_count,
        problems=read.problems,
        note_count=len(read.notes),
        notes=read.notes,
        **actor.who.columns(),
    )


def keep(session: Session, found: DatasetImport, actor: Actor, *, into: int | None = None) -> DatasetImport:
    """Store the report, as the one of the id `into` where there is one. Raises NotFound when that is gone."""
    stored = found
    if into is not None:
        stored = require_import(session, into)
        for name in REPORTED:
            setattr(stored, name, getattr(found, name))
        stored.operation_id = found.operation_id
    session.add(stored)
    session.flush()
    record(session, actor, "dataset.import", f"dataset/{stored.dataset_id}")
    return stored


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
