"""Imports: a file brings in all of its conversations or none, and leaves a report by line either way.

Conversations are written in short pieces under a staging mark and become visible all at once; see
`datasets/operations.py`.
"""

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, func, select

from app.accounts.service import Actor, record
from app.conversations.drafts import insert_drafts
from app.conversations.models import Conversation
from app.core.errors import NotFound, StudioError
from app.core.logging import get_logger
from app.core.pieces import PIECE, in_batches, piece, polite_piece
from app.datasets import operations
from app.datasets.models import Dataset, OperationKind
from app.datasets.operations import Mine
from app.datasets.service import create_dataset, find_dataset, free_name, require_writable
from app.imports.corrections import KEPT_NOTES, Corrections, SameQuestions, waiting_for_a_choice
from app.imports.incoming import IncomingFile, remark_json
from app.imports.models import DatasetImport
from app.sentences import N_

logger = get_logger(__name__)


def import_file(
    session: Session, dataset_id: int, actor: Actor, file: IncomingFile, same: SameQuestions = "keep"
) -> DatasetImport:
    """Bring in a file; the report is stored, whatever comes in. Commits in pieces.

    Conversations that the dataset already has (the same words) are counted and left out; `same` says what becomes of
    those that ask the same and answer otherwise. With "ask" nothing comes in while there are any. Raises NotFound, and
    Conflict for an archived dataset or one that is being changed as a whole.
    """
    asked = _report(dataset_id, actor, file)
    waits = same == "ask" and file.brings_anything and waiting_for_a_choice(session, dataset_id, file, asked)
    with piece(session):
        require_writable(session, dataset_id)
        if waits:
            asked.accepted = 0
            return _keep(session, asked, actor)
        if not file.brings_anything:
            return _keep(session, _report(dataset_id, actor, file), actor)
        operation = operations.begin(
            session, dataset_id, OperationKind.IMPORT, actor, total=file.report.accepted
        )
    return _bring_in(session, operation, actor, file, same)


def import_by_name(
    session: Session, name: str, actor: Actor, file: IncomingFile, same: SameQuestions = "keep"
) -> DatasetImport:
    """As import_file, into the dataset of this name; it is made if there is none, and appears with what it holds.

    A file that brings nothing makes no dataset either: its report then has no id and is not stored.
    """
    existing = find_dataset(session, name)
    if existing is not None and existing.id is not None:
        return import_file(session, existing.id, actor, file, same)
    if not file.brings_anything:
        free_name(session, name)
        return _report(0, actor, file)
    with piece(session):
        made = create_dataset(session, actor, name=name, hidden=True)
        assert made.id is not None
        operation = operations.begin(
            session, made.id, OperationKind.IMPORT, actor, total=file.report.accepted
        )
    return _bring_in(session, operation, actor, file, same)


def _bring_in(
    session: Session, operation: Mine, actor: Actor, file: IncomingFile, choice: SameQuestions
) -> DatasetImport:
    found = _report(operation.dataset_id, actor, file)
    found.operation_id = operation.id
    try:
        corrections = Corrections(operation.dataset_id, choice)
        _write(session, operation, actor, file, found, corrections)
        with piece(session):
            operation.finish(session)
            _show_dataset(session, operation.dataset_id)
            _give_way(session, operation, found)
            _keep(session, found, actor)
    except BaseException:
        session.rollback()
        try:
            undo(session, operation)
        except (SQLAlchemyError, StudioError):
            logger.warning("an import could not be undone now; it will be later", exc_info=True)
        raise
    corrections.replace(session, actor, file, found)
    return found


def _write(
    session: Session,
    operation: Mine,
    actor: Actor,
    file: IncomingFile,
    found: DatasetImport,
    corrections: Corrections,
) -> None:
    """Store what is new, under the mark; the report is completed. Memory holds one piece, however long the file is."""
    for batch in in_batches(file.conversations(), PIECE):
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


def undo(session: Session, operation: Mine) -> None:
    """Erase what an import wrote that did not come to its end, in pieces; and the dataset that it made, if any."""
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


def _report(dataset_id: int, actor: Actor, file: IncomingFile) -> DatasetImport:
    """What is known before anything is written; not yet added."""
    report = file.report
    return DatasetImport(
        dataset_id=dataset_id,
        filename=file.filename,
        format=file.format,
        accepted=report.accepted if file.brings_anything else 0,
        duplicates=report.duplicates,
        problem_count=report.problem_count,
        problems=[remark_json(problem) for problem in report.problems],
        note_count=len(report.file_notes),
        notes=[remark_json(note) for note in report.file_notes],
        **actor.who.columns(),
    )


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
