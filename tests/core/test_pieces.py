"""Long changes in short transactions, on SQLite and PostgreSQL."""

import threading

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from app.core.database import _turns, build_engine, reading, transaction
from app.core.pieces import in_batches, piece, polite_piece
from app.datasets.models import Dataset
from tests.support.patience import HANGING_SECONDS
from tests.support.workers import wait_until


def names(engine: Engine) -> list[str]:
    with reading(engine) as session:
        return sorted(session.exec(select(Dataset.name)))


def test_each_piece_is_there_for_others_as_soon_as_it_ends(engine: Engine) -> None:
    with transaction(engine) as session:
        session.add(Dataset(name="before"))
        with polite_piece(session):
            assert names(engine) == ["before"]
            session.add(Dataset(name="first"))
        assert names(engine) == ["before", "first"]
        assert not session.in_transaction()


def test_a_piece_that_fails_leaves_those_before_it(engine: Engine) -> None:
    with transaction(engine) as session:
        with piece(session):
            session.add(Dataset(name="first"))
        with pytest.raises(IntegrityError), piece(session):
            session.add_all([Dataset(name="second"), Dataset(name="second")])
    assert names(engine) == ["first"]


def test_a_piece_that_reads_leaves_the_turn_to_write_to_others(engine: Engine) -> None:
    with transaction(engine) as session, piece(session, read_only=True):
        session.exec(select(Dataset)).all()
        with transaction(engine) as other:
            other.add(Dataset(name="meanwhile"))
    assert names(engine) == ["meanwhile"]


def test_batches_are_full_but_for_the_last() -> None:
    assert list(in_batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(in_batches([], 2)) == []


def test_who_waits_to_write_has_a_turn_before_the_next_piece(app: FastAPI) -> None:
    engine = app.state.engine
    order: list[str] = []
    elsewhere = build_engine(str(engine.url))

    def write() -> None:
        with transaction(elsewhere) as session:
            session.add(Dataset(name="theirs"))
            session.flush()
            order.append("theirs")

    person = threading.Thread(target=write)
    with transaction(engine) as session:
        for number in range(3):
            with polite_piece(session):
                session.add(Dataset(name=f"piece {number}"))
                session.flush()
                if number == 0:
                    person.start()
                    wait_until(
                        lambda: bool(_turns.waiting), timeout_seconds=HANGING_SECONDS, what="their wait"
                    )
                order.append(f"piece {number}")
    person.join(60)
    elsewhere.dispose()
    assert order[:2] == ["piece 0", "theirs"]
