"""Which dialogues of a file came before: on the disk, so that a file of a million needs no memory for them."""

from __future__ import annotations

import sqlite3
from typing import Final

_CACHE_KIB: Final = 16 * 1024


class SeenBefore:
    """Digests with the line and the number of the record where each first stood."""

    def __init__(self) -> None:
        # A private database that is gone with its connection. A request may end on another thread than it began.
        self._held = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._held.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._held.execute("PRAGMA journal_mode = OFF")
        self._held.execute(
            "CREATE TABLE seen (digest BLOB PRIMARY KEY, line INTEGER, record INTEGER) WITHOUT ROWID"
        )
        self._held.execute("BEGIN")

    def first(self, digest: bytes, line: int, record: int) -> tuple[int, int] | None:
        """Where it stood before; None for a new one, which is kept."""
        added = self._held.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (digest, line, record))
        if added.rowcount:
            return None
        found: tuple[int, int] = self._held.execute(
            "SELECT line, record FROM seen WHERE digest = ?", (digest,)
        ).fetchone()
        return found
