"""The job of an import: a staged file is read by the child, and stored in short pieces by the worker's parent."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from app.core.database import reading, transaction
from app.core.storage import Storage, StoredFile
from app.core.transactions import after_commit
from app.imports import staging
from app.imports.background import Background
from app.imports.incoming import ReadFile
from app.imports.models import REPORTED
from app.imports.work import CONVERSATIONS, Brought, ImportInput, ImportPayload, ImportResult
from app.jobs.handlers import Going, JobHandler, Workplace
from app.jobs.models import Job, JobKind, JobState
from app.jobs.service import Claim, require_job


class ImportFile(JobHandler[ImportResult]):
    """Brings a staged file into a dataset."""

    result_model = ImportResult

    def child_input(self, session: Session, place: Workplace, claim: Claim) -> ImportInput:
        """Where the file lies and how it is read. Raises NotFound once it is gone."""
        order = claim.asked(ImportPayload)
        return ImportInput(
            file=str(staging.require_file(place.storage, order.upload)),
            filename=order.filename,
            format=order.format,
            skip_bad=order.skip_bad,
            most_bytes=place.settings.max_upload_bytes,
            source=order.source,
        )

    def carry_out(
        self, engine: Engine, place: Workplace, claim: Claim, result: ImportResult, going: Going
    ) -> ImportResult:
        """Store what was read, all of it or nothing."""
        assert result.read is not None
        with (
            (place.output_dir / CONVERSATIONS).open("rb") as spool,
            transaction(engine) as session,
        ):
            job = require_job(session, claim.job_id)
            found = Background(session, job, ReadFile(result.read, spool), going).carry_out()
        said = None if found.id is not None else {name: getattr(found, name) for name in REPORTED}
        return ImportResult(brought=Brought(import_id=found.id, report=said, is_done_with=found.is_done_with))

    def publish(
        self,
        session: Session,
        place: Workplace,
        claim: Claim,
        result: ImportResult,
        files: Sequence[StoredFile],
    ) -> None:
        """The report is stored by now. A file of which nothing came in may be wanted again."""
        upload = claim.asked(ImportPayload).upload
        if result.brought is not None and result.brought.is_done_with:
            after_commit(session, lambda: staging.forget(place.storage, upload))

    def clear_up(self, place: Workplace, state: JobState) -> None:
        """What was read serves this job alone."""
        remove_read_files(place.output_dir.parent)


def remove_read_files(job_folder: Path) -> None:
    """Of all attempts of a job."""
    for path in job_folder.glob(f"*/{CONVERSATIONS}"):
        path.unlink(missing_ok=True)


def remove_all_read_files(engine: Engine, storage: Storage) -> None:
    """The same for every import that ended while nobody was there to clear up after it."""
    folders = {
        int(path.parents[1].name): path.parents[1] for path in storage.root.glob(f"jobs/*/*/{CONVERSATIONS}")
    }
    if not folders:
        return
    statement = select(Job.id).where(
        col(Job.id).in_(folders), Job.kind == JobKind.IMPORT, col(Job.finished_at).is_not(None)
    )
    with reading(engine) as session:
        ended = list(session.exec(statement))
    for job_id in ended:
        remove_read_files(folders[job_id or 0])
