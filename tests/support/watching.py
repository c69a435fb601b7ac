"""Watching a database at work: what each transaction writes, and a way in between two of them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

from app.conversations.drafts import create_conversation
from app.core.database import build_engine, transaction
from tests.conversations.conftest import ANN, DIALOGUE

Listener = Callable[..., None]


def elsewhere(engine: Engine) -> Engine:
    """Another process's way to the same database."""
    return build_engine(engine.url.render_as_string(hide_password=False))


@contextmanager
def rows_of_each_transaction(engine: Engine, *beginnings: str) -> Iterator[list[int]]:
    """How many rows each transaction of this engine sent with statements that begin so; those that sent none are left out.

    One statement for many rows without parameters of each (`DELETE … LIMIT`) counts the rows it changed.
    """
    found: list[int] = []
    now = [0]

    def executed(_c: Any, cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if statement.startswith(beginnings):
            now[0] += len(parameters) if many else max(1, cursor.rowcount)

    def ended(_connection: Any) -> None:
        if now[0]:
            found.append(now[0])
        now[0] = 0

    with _listening(engine, ("after_cursor_execute", executed), ("commit", ended), ("rollback", ended)):
        yield found


@contextmanager
def after_transactions(
    engine: Engine, number: int, act: Callable[[], None], beginning: str = "INSERT INTO conversation "
) -> Iterator[None]:
    """Do something once this engine has committed so many transactions that held a statement which begins so."""
    seen = {"wrote": False, "commits": 0}

    def executed(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen["wrote"] |= statement.startswith(beginning)

    def committed(_connection: Any) -> None:
        if seen["wrote"]:
            seen["wrote"] = False
            seen["commits"] += 1

    def given_back(*_connection: Any) -> None:
        if seen["commits"] == number:
            seen["commits"] += 1
            act()

    with _listening(
        engine, ("before_cursor_execute", executed), ("commit", committed), ("checkin", given_back)
    ):
        yield


@contextmanager
def somebody_saving(engine: Engine, dataset_id: int) -> Iterator[list[int]]:
    """Another connection that saves one conversation after the other, until the block ends; their ids.

    A save that is turned away fails the block.
    """
    saved: list[int] = []
    failed: list[BaseException] = []
    over = threading.Event()
    own = elsewhere(engine)

    def save() -> None:
        try:
            while not over.is_set():
                said = [*DIALOGUE, {"role": "user", "content": f"Save {len(saved)}"}]
                with transaction(own) as session:
                    row = create_conversation(session, dataset_id, {"messages": said}, ANN)
                saved.append(row.id or 0)
        except BaseException as error:  # noqa: BLE001 - it is raised in the test's own thread
            failed.append(error)

    person = threading.Thread(target=save)
    person.start()
    try:
        yield saved
    finally:
        over.set()
        person.join(60)
        own.dispose()
    if failed:
        raise failed[0]


@contextmanager
def _listening(engine: Engine, *listeners: tuple[str, Listener]) -> Iterator[None]:
    for name, function in listeners:
        event.listen(engine, name, function)
    try:
        yield
    finally:
        for name, function in listeners:
            event.remove(engine, name, function)
