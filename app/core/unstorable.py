"""Values that reach the database and cannot be kept there: the same answer on SQLite and PostgreSQL.

PostgreSQL refuses NUL in text and numbers beyond their column; SQLite keeps the one and trips over the other.
"""

from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.exc import DataError

from app.sentences import N_

UNSTORABLE: Final = N_(
    "The request holds a number that is too large, or text that cannot be stored (a NUL character or half a "
    "character). Correct it and send it again."
)


class UnstorableText(ValueError):
    """A text parameter holds NUL. The text itself is not repeated: it may be anybody's words."""


# What the drivers raise: SQLite's for numbers, PostgreSQL's for both, both of theirs for half a surrogate pair.
UNSTORABLE_ERRORS: Final = (UnstorableText, DataError, OverflowError, UnicodeEncodeError)


def refuse_nul(engine: Engine) -> None:
    """Make SQLite as strict as PostgreSQL."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "before_cursor_execute", _check)


def _check(
    _connection: Any, _cursor: Any, _statement: str, parameters: Any, _context: Any, _many: bool
) -> None:
    # Several rows come as a list; several rows in one statement (INSERT … RETURNING) as one long tuple.
    for row in parameters if isinstance(parameters, list) else (parameters,):
        for value in row.values() if isinstance(row, dict) else row:
            if isinstance(value, str) and "\x00" in value:
                raise UnstorableText("NUL in a text parameter")
