"""A file read for an import, before the database is touched.

Reading takes most of the time. SQLite has one writer at a time and the workers must go on renewing their leases, so
what was read waits in a temporary file, and the writing transaction is short.
"""

import json
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from app.conversations.content import TOLD, content_columns, told_columns
from app.interchange import (
    Format,
    ImportLimits,
    ImportReport,
    Item,
    LineNote,
    LineProblem,
    Source,
    read_conversations,
)
from app.interchange.sentences.problems import shown

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_IN_MEMORY_BYTES: Final = 4 * 1024 * 1024


class IncomingFile:
    """The conversations of one file, each once, and the report on what is wrong with it. Close it after use."""

    def __init__(
        self,
        stream: BinaryIO,
        *,
        filename: str,
        format: Format = "auto",
        skip_bad: bool = False,
        limits: ImportLimits | None = None,
        source: Source | None = None,
    ) -> None:
        self.filename = shown(filename, 255)
        self.skip_bad = skip_bad
        self.report = ImportReport()
        self._spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed by close()
        items = read_conversations(stream, filename=filename, format=format, limits=limits, source=source)
        for item in items:
            self._take(item)
        self.format: str = self.report.format or format

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()

    @property
    def comes_in(self) -> bool:
        """Whether anything may be stored: one problem keeps all out, unless bad lines are skipped."""
        return self.skip_bad or self.report.ok

    @property
    def brings_anything(self) -> bool:
        """Whether there is anything to store."""
        return self.comes_in and self.report.accepted > 0

    def conversations(self) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]], int]]:
        """The columns of every conversation, its notes and its line."""
        self._spool.seek(0)
        for line in self._spool:
            columns, notes, place = json.loads(line)
            yield {**columns, **told_columns(columns)}, notes, place

    def _take(self, item: Item) -> None:
        # Once a problem keeps the whole file out, the rest is read for its problems only.
        if self.report.add(item) and self.comes_in:
            columns = content_columns(item.conversation)
            notes = [remark_json(note, item.member) for note in item.notes]
            for name in TOLD:
                del columns[name]
            self._spool.write(_ENCODER.encode([columns, notes, item.line]).encode() + b"\n")


def remark_json(remark: LineProblem | LineNote, member: str = "") -> dict[str, Any]:
    """A problem or a note as it is stored: translated only when somebody reads it."""
    return {
        "line": remark.line,
        "code": remark.code,
        "sentence": remark.sentence.to_json(),
        **({"member": named} if (named := remark.member or member) else {}),
    }
