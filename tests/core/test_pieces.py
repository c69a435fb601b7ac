"""Long changes in short transactions, on SQLite and PostgreSQL."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from app.core.database import reading, transaction
from app.core.pieces import in_batches, piece, polite_piece
from app.datasets.models import Dataset


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
