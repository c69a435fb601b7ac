"""What waits for a commit runs after it, once, and never after a rollback; on SQLite and on PostgreSQL."""

from contextlib import suppress

from sqlalchemy import Engine, text
from sqlmodel import Session

from app.core.database import transaction
from app.core.transactions import after_commit


class Broken(Exception):
    """What a block raises."""


def test_it_runs_after_the_commit_in_the_order_asked_and_without_a_connection_in_use(engine: Engine) -> None:
    done: list[str] = []
    with transaction(engine) as session:
        session.execute(text("SELECT 1"))
        after_commit(session, lambda: done.append("first"))
        after_commit(session, lambda: done.append(f"{engine.pool.checkedout()} in use"))  # type: ignore[attr-defined]
        assert done == []
    assert done == ["first", "0 in use"]


def test_it_runs_once_however_often_the_session_is_used_again(engine: Engine) -> None:
    done: list[str] = []
    with Session(engine) as session:
        after_commit(session, lambda: done.append("first"))
        session.commit()
        after_commit(session, lambda: done.append("second"))
        session.commit()
        session.execute(text("SELECT 1"))
        session.commit()
    assert done == ["first", "second"]


def test_never_after_a_rollback_or_a_session_that_is_left_without_a_commit(engine: Engine) -> None:
    done: list[str] = []
    with suppress(Broken), transaction(engine) as session:
        after_commit(session, lambda: done.append("of a block that raised"))
        raise Broken
    session = Session(engine)
    after_commit(session, lambda: done.append("of a rollback"))
    session.rollback()
    session.commit()
    after_commit(session, lambda: done.append("of a closed session"))
    session.close()
    session.execute(text("SELECT 1"))
    session.commit()
    session.close()
    assert done == []


def test_a_savepoint_that_is_rolled_back_takes_its_own_and_leaves_the_others(engine: Engine) -> None:
    done: list[str] = []
    with transaction(engine) as session:
        after_commit(session, lambda: done.append("before"))
        with session.begin_nested():
            after_commit(session, lambda: done.append("in a savepoint that stays"))
        with suppress(Broken), session.begin_nested():
            after_commit(session, lambda: done.append("in a savepoint that goes"))
            with session.begin_nested():
                after_commit(session, lambda: done.append("in one inside it, which had stayed"))
            raise Broken
        after_commit(session, lambda: done.append("after"))
        assert done == []
    assert done == ["before", "in a savepoint that stays", "after"]


def test_a_savepoint_that_stays_is_not_enough_when_all_is_rolled_back(engine: Engine) -> None:
    done: list[str] = []
    with suppress(Broken), transaction(engine) as session:
        with session.begin_nested():
            after_commit(session, lambda: done.append("in a savepoint"))
        raise Broken
    assert done == []


def test_one_that_fails_neither_undoes_what_is_stored_nor_stops_the_others(engine: Engine) -> None:
    done: list[str] = []

    def fail() -> None:
        raise Broken

    with transaction(engine) as session:
        session.execute(text("CREATE TABLE kept (id INTEGER)"))
        after_commit(session, fail)
        after_commit(session, lambda: done.append("the other"))
    assert done == ["the other"]
    with transaction(engine) as session:
        session.execute(text("DROP TABLE kept"))
