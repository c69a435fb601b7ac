"""SQLite refuses the text that PostgreSQL cannot keep."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import StatementError

from app.core.unstorable import UNSTORABLE_ERRORS, refuse_nul


def test_nul_is_refused_on_both_databases_and_never_repeated(engine: Engine) -> None:
    refuse_nul(engine)
    statement = text("INSERT INTO dataset (name) VALUES (:name)")
    for values in ({"name": "secret\x00"}, [{"name": "a"}, {"name": "secret\x00"}]):
        with engine.connect() as connection, pytest.raises((*UNSTORABLE_ERRORS, StatementError)) as refused:
            connection.execute(statement, values)
        assert "secret" not in str(refused.value)
