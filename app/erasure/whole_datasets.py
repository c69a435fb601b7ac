"""Erasing a whole dataset: its conversations with their histories, what its versions, their mask checks and chats hold of them.

What nothing else needs is deleted. Where runs or mask checks need its versions, the dataset stays, archived and empty, and its
versions without a conversation, so that a run still says what it was trained on. What was stopped half-way goes on when it is
asked for again.
"""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlmodel import Session, col, func, select

from app.accounts.service import Actor, record
from app.conversations.models import Conversation
from app.core.database import cut_back_log, let_go, reading, transaction
from app.core.pieces import PIECE, polite_piece
from app.core.storage import Storage
from app.curation.removal import delete_dataset, plan_removal
from app.datasets.operations import refuse_under_way
from app.datasets.service import archive_dataset, require_dataset, require_held
from app.dialogue.conversation import Message
from app.erasure.chats import chats_that_repeat, delete_chats
from app.erasure.holders import users_of
from app.erasure.schemas import DatasetHolders, HoldingVersion
from app.erasure.service import refuse_work_under_way, rewrite_version
from app.imports.models import DatasetImport
from app.versions.models import DatasetVersion
from app.versions.redaction import messages_in


def find_dataset_holders(session: Session, storage: Storage, dataset_id: int) -> DatasetHolders:
    """Reads the dataset's dialogues and its versions' files. Raises NotFound."""
    dataset = require_dataset(session, dataset_id)
    name, goes = dataset.name, plan_removal(session, dataset_id).is_allowed
    versions = session.exec(
        select(DatasetVersion).where(DatasetVersion.dataset_id == dataset_id).order_by(col(DatasetVersion.id))
    ).all()
    users = users_of(session, [version.id or 0 for version in versions])
    mine = select(Conversation.words_hash).where(Conversation.dataset_id == dataset_id)
    others = select(func.count()).where(
        Conversation.dataset_id != dataset_id, col(Conversation.words_hash).in_(mine)
    )
    twins = session.exec(others).one()
    count = session.exec(select(func.count()).where(Conversation.dataset_id == dataset_id)).one()
    let_go(session)
    return DatasetHolders(
        dataset_id=dataset_id,
        dataset=name,
        goes=goes,
        conversations=count,
        versions=[
            HoldingVersion(id=one.id or 0, dataset_id=dataset_id, dataset=name, number=one.number)
            for one in versions
        ],
        **dict(users),
        chat_ids=chats_that_repeat(session, _messages(session, storage, dataset_id, versions)),
        twins=twins,
    )


def _messages(
    session: Session, storage: Storage, dataset_id: int, versions: Sequence[DatasetVersion]
) -> Iterator[Message]:
    """Of every conversation, of deleted ones too where a version has them; no connection is held between two pages."""
    last = 0
    while True:
        page = session.exec(
            select(Conversation.id, Conversation.messages)
            .where(Conversation.dataset_id == dataset_id, col(Conversation.id) > last)
            .order_by(col(Conversation.id))
            .limit(PIECE)
        ).all()
        let_go(session)
        if not page:
            break
        for number, messages in page:
            last = number or last
            yield from messages
    for version in versions:
        yield from messages_in(storage, version)


def erase_dataset(engine: Engine, storage: Storage, actor: Actor, dataset_id: int) -> DatasetHolders:
    """Take every dialogue of the dataset out of all that holds it, for good; what held them before.

    Raises NotFound; Conflict while something works on it or on one of its versions, or where a version's file is not what
    was frozen.
    """
    holders = holders_of_dataset_now(engine, storage, dataset_id)
    version_ids = holders.version_ids
    with transaction(engine) as session:
        require_held(session, dataset_id)
        refuse_under_way(session, dataset_id)
        refuse_work_under_way(session, version_ids)
        if not holders.goes:
            archive_dataset(session, actor, dataset_id)
        delete_chats(session, holders.chat_ids)
        record(session, actor, "dataset.erase", f"dataset/{dataset_id} {holders.dataset}")
    with Session(engine, expire_on_commit=False) as session:
        if holders.goes:
            delete_dataset(session, storage, actor, dataset_id)
            return holders
        _erase_rows(session, dataset_id)
    for version_id in version_ids:
        rewrite_version(engine, storage, actor, version_id, None)
    with engine.connect() as connection:
        cut_back_log(connection)
    return holders


def holders_of_dataset_now(engine: Engine, storage: Storage, dataset_id: int) -> DatasetHolders:
    """As find_dataset_holders, with a session of its own."""
    with reading(engine) as session:
        return find_dataset_holders(session, storage, dataset_id)


def _erase_rows(session: Session, dataset_id: int) -> None:
    """Conversations in pieces, with their histories; then what is said of the files that they came in."""
    some = select(Conversation.id).where(Conversation.dataset_id == dataset_id).limit(PIECE)
    gone = PIECE
    while gone:
        with polite_piece(session):
            done = session.execute(sa.delete(Conversation).where(col(Conversation.id).in_(some)))
            gone = done.rowcount  # type: ignore[attr-defined]
    with polite_piece(session):
        session.execute(sa.delete(DatasetImport).where(col(DatasetImport.dataset_id) == dataset_id))
