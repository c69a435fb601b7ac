"""A long change in short transactions, so that others save in between.

SQLite has one writer at a time, and on every database a long transaction holds locks. Only the edge commits; a change
in pieces is the one exception: it commits each piece by itself and therefore begins by committing what came before.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Final, TypeVar

from sqlmodel import Session

from app.core.database import give_way

# Conversations that a transaction writes or erases.
PIECE: Final = 300
_PATIENCE_SECONDS: Final = 0.3
# Of the time a piece took: writers of other processes, who are not seen from here, look every tenth of a second.
_PAUSE_SHARE: Final = 1 / 8
Item = TypeVar("Item")


@contextmanager
def piece(session: Session, *, read_only: bool = False) -> Iterator[None]:
    """One short transaction on this session, committed at the end; what the session held before is committed first.

    Afterwards the session holds no connection. With `read_only` it takes no write lock on SQLite.
    """
    session.commit()
    try:
        if read_only:
            session.connection(execution_options={"read_only": True})
        yield
        session.commit()
    except BaseException:
        session.rollback()
        raise


@contextmanager
def polite_piece(session: Session) -> Iterator[None]:
    """A piece that writes, and afterwards lets those write who wait: for one of several in a row."""
    began = time.monotonic()
    with piece(session):
        yield
    time.sleep((time.monotonic() - began) * _PAUSE_SHARE)
    give_way(_PATIENCE_SECONDS)


def go_on() -> None:
    """What is done between the pieces where nobody waits for news of them."""


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of at most `size`."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
