"""A file read for an import, before the database is touched.

Reading takes most of the time. SQLite has one writer at a time and the workers must go on renewing their leases, so
what was read waits in a file, and what is written is written in short pieces.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, cast

from app.conversations.content import TOLD, content_columns, told_columns
from app.core.pieces import PIECE
from app.imports.remarks import KeptRemark, remark_json
from app.imports.work import FileReport
from app.interchange import (
    Format,
    ImportLimits,
    ImportReport,
    Item,
    LineProblem,
    Source,
    read_conversations,
)
from app.interchange.sentences.problems import shown

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_IN_MEMORY_BYTES: Final = 4 * 1024 * 1024
# What a piece of an import holds at most, beside the number of its conversations: long ones make fewer.
_PIECE_BYTES: Final = 4 * 1024 * 1024
# The columns of a conversation, its notes and its line.
Arrived = tuple[dict[str, Any], list[KeptRemark], int]


class ReadFile:
    """A file that was read: its report, and its conversations in `spool`."""

    def __init__(self, report: FileReport, spool: BinaryIO) -> None:
        self.report = report
        self._spool = spool

    def conversations(self) -> Iterator[Arrived]:
        """Every conversation."""
        for line in self._lines():
            yield _arrived(line)

    def pieces(self) -> Iterator[list[Arrived]]:
        """Every conversation, in lists that a short transaction can hold."""
        piece: list[Arrived] = []
        size = 0
        for line in self._lines():
            if len(piece) == PIECE or (piece and size + len(line) > _PIECE_BYTES):
                yield piece
                piece, size = [], 0
            piece.append(_arrived(line))
            size += len(line)
        if piece:
            yield piece

    def _lines(self) -> Iterator[bytes]:
        self._spool.seek(0)
        return iter(self._spool)


class IncomingFile:
    """Reads a file for an import. Close it after use.

    What is read waits in a file of its own, or in `spool`, which then outlives this. `listen` is told after each record
    how many conversations there are, and how much of the file is read by then, from 0 to 1.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        filename: str,
        format: Format = "auto",
        skip_bad: bool = False,
        limits: ImportLimits | None = None,
        source: Source | None = None,
        spool: Path | None = None,
        listen: Callable[[int, float], None] = lambda _count, _share: None,
    ) -> None:
        self._skip_bad = skip_bad
        self._found = ImportReport()
        self._codes: set[str] = set()
        self._share, self._listen = 0.0, listen
        self._spool: Any = (
            spool.open("w+b") if spool else tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115
        )
        try:
            items = read_conversations(
                stream, filename=filename, format=format, limits=limits, source=source, reached=self._reach
            )
            for item in items:
                self._take(item)
                listen(self._found.accepted, self._share)
            self._spool.flush()
        except BaseException:
            self._spool.close()
            raise
        found = self._found
        self.report = FileReport(
            filename=shown(filename, 255),
            format=found.format or format,
            skip_bad=skip_bad,
            accepted=found.accepted,
            duplicates=found.duplicates,
            problem_count=found.problem_count,
            problems=[remark_json(problem) for problem in found.problems],
            codes=frozenset(self._codes),
            notes=[remark_json(note) for note in found.file_notes],
        )
        self.read = ReadFile(self.report, cast(BinaryIO, self._spool))

    def __enter__(self) -> ReadFile:
        return self.read

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()

    def _reach(self, share: float) -> None:
        self._share = share
        self._listen(self._found.accepted, share)

    def _take(self, item: Item) -> None:
        if isinstance(item, LineProblem):
            self._codes.add(item.code)
        # Once a problem keeps the whole file out, the rest is read for its problems only.
        if self._found.add(item) and (self._skip_bad or self._found.ok):
            columns = content_columns(item.conversation)
            notes = [remark_json(note, item.member) for note in item.notes]
            for name in TOLD:
                del columns[name]
            self._spool.write(_ENCODER.encode([columns, notes, item.line]).encode() + b"\n")


def _arrived(line: bytes) -> Arrived:
    columns, notes, place = json.loads(line)
    return {**columns, **told_columns(columns)}, notes, place
