"""A frozen version as a download for another tool: one file, or a zip of several."""

import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from app.core.errors import ErrorDetail, Invalid
from app.core.i18n import gettext, ngettext, say
from app.core.storage import Storage
from app.datasets.models import Dataset
from app.dialogue.conversation import FrozenConversation
from app.interchange.exports.exporting import (
    FORMAT_NAMES,
    Export,
    ExportFormat,
    ExportReport,
    FlagChoice,
    NotAllCarried,
    Part,
    export_conversations,
    file_name,
    is_bundle,
)
from app.interchange.sentences.problems import ExportRefused
from app.versions.files import require_whole
from app.versions.models import DatasetVersion
from app.versions.service import read_version

_CHUNK_BYTES = 256 * 1024


class DoNotFit(Invalid):
    """Some conversations have no place in the format; `count` of `of` do not, `format_name` says which."""

    def __init__(self, refused: NotAllCarried, of: int) -> None:
        report = refused.report
        details: list[ErrorDetail] = [
            {"conversation": item.sentence.values["conversation"], "detail": say(item.sentence)}
            for item in report.left_out
        ]
        super().__init__(refused.sentence, field="leave_out", details=details)
        self.count = report.left_out_count
        self.of = of

    def translated(self) -> str:
        """The sentence about the first, and how many there are."""
        text = ngettext(
            "%(n)d of %(of)d conversations does not fit and can be left out.",
            "%(n)d of %(of)d conversations do not fit and can be left out.",
            self.count,
        )
        return f"{super().translated()} {text % {'n': self.count, 'of': self.of}}"


@dataclass(frozen=True)
class Download:
    """A finished file, open at its beginning; whoever sends it closes it."""

    filename: str
    media_type: str
    stream: BinaryIO
    size_bytes: int
    report: ExportReport

    def chunks(self) -> Iterator[bytes]:
        """The bytes; closes the file at the end, or when the reader goes away."""
        with self.stream:
            while piece := self.stream.read(_CHUNK_BYTES):
                yield piece


def export_version(
    storage: Storage,
    dataset: Dataset,
    version: DatasetVersion,
    format: ExportFormat,
    *,
    flags: FlagChoice = "refuse",
    part: Part = "all",
    leave_out: bool = False,
) -> Download:
    """The version in another tool's format. Raises Invalid, DoNotFit among them, when it cannot be had exactly, and
    Conflict when the version's file is gone or is not what was frozen.
    """
    require_whole(storage, version)
    name = f"{_ascii_name(dataset)}_v{version.number}"
    title = gettext("%(dataset)s, version %(number)d") % {"dataset": dataset.name, "number": version.number}
    asked = Export(format, name, title, flags, part, leave_out)
    with ExitStack() as stack:
        stream = cast(BinaryIO, stack.enter_context(tempfile.TemporaryFile()))
        try:
            report = _write(stream, asked, storage, version)
        except NotAllCarried as refused:
            raise DoNotFit(refused, version.conversation_count) from refused
        except ExportRefused as refused:
            field = "flags" if refused.code == "flags_not_carried" else "as"
            raise Invalid(refused.sentence, field=field) from refused
        stack.pop_all()
    size = stream.tell()
    stream.seek(0)
    if is_bundle(format):
        return Download(f"{name}.{format}.zip", "application/zip", stream, size, report)
    media_type = "text/csv; charset=utf-8" if format == "csv" else "application/x-ndjson"
    return Download(file_name(asked), media_type, stream, size, report)


def _write(stream: BinaryIO, asked: Export, storage: Storage, version: DatasetVersion) -> ExportReport:
    def read() -> Iterator[FrozenConversation]:
        return read_version(storage, version)

    if not is_bundle(asked.format):
        return export_conversations(read, asked, lambda _name: _left_open(stream))
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:

        def create(name: str) -> AbstractContextManager[BinaryIO]:
            return cast(AbstractContextManager[BinaryIO], archive.open(name, "w", force_zip64=True))

        report = export_conversations(read, asked, create)
    stream.seek(0, 2)
    return report


@contextmanager
def _left_open(stream: BinaryIO) -> Iterator[BinaryIO]:
    yield stream


def _ascii_name(dataset: Dataset) -> str:
    """A name for files and for entries of dataset_info.json, where commas and other scripts go wrong."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", dataset.name).strip("-").lower()[:40].strip("-")
    return name or f"dataset-{dataset.id}"


def format_name(format: ExportFormat) -> str:
    """As the tool calls itself."""
    return FORMAT_NAMES[format]
