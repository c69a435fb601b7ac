"""A file that somebody sends: a small one is imported while they wait, a large one is staged and left to a worker."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final

from sqlmodel import Session

from app.accounts.service import Actor
from app.core.pieces import piece
from app.core.settings import Settings
from app.core.storage import Storage
from app.core.transactions import after_commit
from app.dialogue.limits import MIB
from app.imports import background, service, staging
from app.imports.incoming import IncomingFile, ReadFile
from app.imports.models import DatasetImport
from app.imports.work import FileReport, ImportOptions, ImportPayload
from app.interchange import ImportLimits, Source
from app.interchange.sentences.problems import shown
from app.jobs.models import Job

# About a second of reading and one of writing, which a request may take.
QUICK_BYTES: Final = 4 * MIB
_QUICK_UNPACKED: Final = 16 * MIB
_QUICK_CONVERSATIONS: Final = 5_000
# Said of a file that goes beyond what is read quickly; the worker says it of one that is really too large.
_BEYOND: Final = frozenset(
    {"unpacked_too_large", "workbook_too_large", "parquet_too_large", "too_many_records"}
)


@dataclass(frozen=True)
class Sent:
    """A file with what was said of it. `upload` is its token where it is staged already. A small file with one of the
    problems `left_for_mapping` is only read: somebody will say what its columns mean."""

    stream: BinaryIO
    filename: str
    options: ImportOptions
    source: Source
    upload: str = ""
    left_for_mapping: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Came:
    """What came of it: the report and what reading found, or the job that will fill the report in. There is no report
    where the dataset is still to be made, and of a file that is left for a mapping."""

    report: DatasetImport | None
    read: FileReport | None = None
    job: Job | None = None


@dataclass(frozen=True)
class Door:
    """Where files come in: what one request has."""

    session: Session
    storage: Storage
    settings: Settings
    actor: Actor

    def into(self, dataset_id: int, sent: Sent) -> Came:
        """Into this dataset. Commits in pieces. Raises as service.import_file() and background.queue()."""
        return self._come(
            sent,
            dataset_id,
            lambda file: service.import_file(
                self.session, dataset_id, self.actor, file, sent.options.same_questions
            ),
            lambda order: background.queue(self.session, self.actor, dataset_id, order),
        )

    def by_name(self, dataset: str, sent: Sent) -> Came:
        """Into the dataset of this name. Commits in pieces. Raises as service.import_by_name() and
        background.queue_by_name()."""
        return self._come(
            sent,
            0,
            lambda file: service.import_by_name(
                self.session, dataset, self.actor, file, sent.options.same_questions
            ),
            lambda order: background.queue_by_name(
                self.session, self.actor, order.model_copy(update={"dataset": dataset})
            ),
        )

    def stage(self, sent: Sent, dataset_id: int) -> str:
        """Keep the file; its token."""
        if sent.upload:
            return sent.upload
        with piece(self.session, read_only=True):
            spared = background.unfinished_uploads(self.session)
        staged = staging.stage(
            self.storage,
            sent.stream,
            self.actor,
            dataset_id=dataset_id,
            filename=sent.filename,
            encoding=sent.source.encoding,
            spared=spared,
        )
        return staged.token

    def _come(
        self,
        sent: Sent,
        dataset_id: int,
        now: Callable[[ReadFile], DatasetImport],
        later: Callable[[ImportPayload], tuple[DatasetImport | None, Job]],
    ) -> Came:
        size = sent.stream.seek(0, 2)
        sent.stream.seek(0)
        if size <= QUICK_BYTES:
            with self._read(sent) as file:
                read = file.report
                if not read.has_problem(_BEYOND):
                    if read.has_problem(sent.left_for_mapping) and not read.brings_anything:
                        return Came(None, read)
                    return Came(self._done_with(sent, now(file)), read)
        order = ImportPayload(
            upload=self.stage(sent, dataset_id),
            filename=shown(sent.filename, 255),
            source=sent.source,
            role=self.actor.role.value,
            **sent.options.model_dump(),
        )
        try:
            with piece(self.session):
                report, job = later(order)
        except BaseException:
            if not sent.upload:
                staging.forget(self.storage, order.upload)
            raise
        return Came(report, job=job)

    def _done_with(self, sent: Sent, report: DatasetImport) -> DatasetImport:
        if sent.upload and report.is_done_with:
            after_commit(self.session, lambda: staging.forget(self.storage, sent.upload))
        return report

    def _read(self, sent: Sent) -> IncomingFile:
        return IncomingFile(
            sent.stream,
            filename=sent.filename,
            format=sent.options.format,
            skip_bad=sent.options.skip_bad,
            limits=ImportLimits(
                file_bytes=min(_QUICK_UNPACKED, self.settings.max_upload_bytes),
                workbook_bytes=_QUICK_UNPACKED,
                parquet_bytes=_QUICK_UNPACKED,
                conversations=_QUICK_CONVERSATIONS,
            ),
            source=sent.source,
        )
