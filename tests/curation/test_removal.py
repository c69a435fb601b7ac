"""Deleting a dataset: gone for everybody at once, erased in short pieces; on SQLite and PostgreSQL."""

from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, text
from sqlmodel import select

from app.accounts.who import Who
from app.conversations import drafts
from app.conversations import service as conversations
from app.conversations.models import Conversation
from app.core.database import reading, transaction
from app.core.errors import NotFound
from app.core.storage import Storage
from app.curation import removal
from app.curation.lines import dataset_lines
from app.curation.sweeping import sweep
from app.datasets import service
from tests.conversations.conftest import ANN, BOB, DIALOGUE
from tests.support.watching import after_transactions, elsewhere, rows_of_each_transaction, somebody_saving

COUNT = 3000
ERASES = "DELETE FROM conversation "


class Interrupted(Exception):
    """What a test raises in the middle."""


@pytest.fixture
def dataset_id(engine: Engine) -> int:
    """A dataset of many drafts."""
    with transaction(engine) as session:
        number = service.create_dataset(session, ANN, name="Calls").id or 0
        rows = [
            drafts.content_columns({"messages": [*DIALOGUE, {"role": "user", "content": f"{n} " * 200}]})
            for n in range(COUNT)
        ]
        drafts.insert_drafts(session, number, rows, author=Who("Ann"))
    return number


def delete(engine: Engine, tmp_path: Path, dataset_id: int) -> None:
    with transaction(engine) as session:
        removal.delete_dataset(session, Storage(tmp_path), BOB, dataset_id)


def left(engine: Engine, table: str = "conversation") -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_no_piece_holds_many_rows_and_others_save_in_between(
    engine: Engine, tmp_path: Path, dataset_id: int
) -> None:
    with transaction(engine) as session:
        theirs = service.create_dataset(session, ANN, name="Others").id or 0
    with (
        rows_of_each_transaction(engine, ERASES) as rows,
        somebody_saving(engine, theirs) as saved,
    ):
        delete(engine, tmp_path, dataset_id)
    assert sum(rows) >= COUNT
    assert max(rows) <= removal.PIECE
    assert len(saved) >= 3
    assert left(engine) == len(saved)
    assert left(engine, "dataset") == 1


def test_it_is_gone_for_everybody_at_once_and_its_name_is_free(
    engine: Engine, tmp_path: Path, dataset_id: int
) -> None:
    other = elsewhere(engine)

    def look() -> None:
        with reading(other) as session:
            number = session.connection().execute(text("SELECT max(id) FROM conversation")).scalar_one()
            assert dataset_lines(session) == []
            assert session.exec(select(Conversation.id)).all() == []
            for ask in (
                lambda: service.require_dataset(session, dataset_id),
                lambda: conversations.require_conversation(session, number),
            ):
                with pytest.raises(NotFound):
                    ask()
        with transaction(other) as session:
            service.create_dataset(session, ANN, name="Calls")

    with after_transactions(engine, 2, look, ERASES):
        delete(engine, tmp_path, dataset_id)
    assert (left(engine), left(engine, "dataset"), left(engine, "dataset_operation")) == (0, 1, 0)
    other.dispose()


def test_one_whose_process_died_is_erased_by_who_sweeps(
    engine: Engine, tmp_path: Path, dataset_id: int
) -> None:
    def die() -> None:
        raise Interrupted

    with after_transactions(engine, 2, die, ERASES), pytest.raises(Interrupted):
        delete(engine, tmp_path, dataset_id)
    assert left(engine) == COUNT - 2 * removal.PIECE
    assert sweep(engine, older_than=timedelta(seconds=-1)) == 1
    assert (left(engine), left(engine, "dataset"), left(engine, "dataset_operation")) == (0, 0, 0)


def test_the_log_of_sqlite_is_short_again(tmp_path: Path, app: FastAPI) -> None:
    engine = app.state.engine
    with transaction(engine) as session:
        number = service.create_dataset(session, ANN, name="Calls").id or 0
        rows = [
            drafts.content_columns({"messages": [*DIALOGUE, {"role": "user", "content": f"{n} " * 200}]})
            for n in range(COUNT)
        ]
        drafts.insert_drafts(session, number, rows, author=Who("Ann"))
    database = engine.url.database
    assert database is not None
    log = Path(f"{database}-wal")
    assert log.stat().st_size > 5_000_000
    delete(engine, tmp_path, number)
    assert log.stat().st_size == 0
