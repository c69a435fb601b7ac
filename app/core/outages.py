"""A database that cannot serve now, told apart from one that refuses what it is given; and why, in one sentence."""

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from app.sentences import N_

BUSY: Final = N_("The database is busy or out of reach. Nothing was changed; try again.")
FULL: Final = N_(
    "The disk of the database is full. Nothing was changed; once the server's operator has freed some space, try again."
)
READ_ONLY: Final = N_(
    "The database can only be read: its file or disk is write-protected. Nothing was changed; the server's operator "
    "has to make it writable."
)
FAILING: Final = N_(
    "The disk of the database cannot be read or written. Nothing was changed; the server's operator has to look at it."
)
# SQLSTATE of PostgreSQL.
_PG_DISK_FULL: Final = "53100"
_PG_READ_ONLY: Final = "25006"


def is_outage(error: BaseException) -> bool:
    """Whether the same statement may succeed later: the database was busy, away or full."""
    if isinstance(error, OperationalError | InterfaceError | NoConnectionFree):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def outage_sentence(error: BaseException) -> str:
    """An English sentence, translated when shown, for an error that `is_outage`."""
    cause = getattr(error, "orig", None)
    # The low byte is the kind of error; what is above tells how it came about.
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    state = getattr(cause, "sqlstate", None)
    if code == sqlite3.SQLITE_FULL or state == _PG_DISK_FULL:
        return FULL
    if code == sqlite3.SQLITE_READONLY or state == _PG_READ_ONLY:
        return READ_ONLY
    return FAILING if code == sqlite3.SQLITE_IOERR else BUSY


def brief(error: BaseException) -> str:
    """The driver's own words without the statement, for logs."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}"
