"""The watch over held connections sees what it is there for."""

import pytest
from sqlalchemy import Engine, text

from app.accounts import passwords
from app.core.database import let_go, reading, transaction
from tests.support import held_connections


@pytest.fixture
def found() -> list[str]:
    return held_connections.found


def test_a_password_hashed_in_a_transaction_is_found(engine: Engine, found: list[str]) -> None:
    with transaction(engine) as session:
        session.execute(text("SELECT 1"))
        passwords.hash_password("correct horse battery")
    assert [line for line in found if "a password is hashed" in line and "hash_password" in line]
    found.clear()
    passwords.hash_password("correct horse battery")
    assert found == []


def test_a_reading_session_that_let_go_holds_nothing_and_reads_on(engine: Engine, found: list[str]) -> None:
    with reading(engine) as session:
        session.execute(text("SELECT 1"))
        let_go(session)
        passwords.hash_password("correct horse battery")
        assert found == []
        session.execute(text("SELECT 1"))
        passwords.hash_password("correct horse battery")
    assert found
    found.clear()
