"""Imports as jobs: a file that is too large for a request waits in the storage until a worker reads and stores it.

The child reads the staged file into a file of conversations; the worker's parent stores those in short pieces, under the
mark of an operation that names the job. Whoever goes on with the job of a dead worker finds that operation: it erases what
was staged and begins again, or, once everything is there for every reader, only goes on with what comes after that.
"""

import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from sqlmodel import Session, col, select

from app.accounts.models import Role
from app.accounts.service import Actor
from app.core.errors import NotFound
from app.core.pieces import piece
from app.datasets import operations
from app.datasets.models import DatasetOperation, OperationDetails, OperationKind, OperationState
from app.datasets.operations import Mine
from app.datasets.service import create_dataset, find_dataset, find_holder, free_name, require_writable
from app.imports import service
from app.imports.corrections import Corrections, waiting_for_a_choice
from app.imports.incoming import ReadFile
from app.imports.models import DatasetImport
from app.imports.work import ImportPayload, ImportResult
from app.jobs.events import Phase
from app.jobs.handlers import Going, HandedBack
from app.jobs.models import Job, JobKind, StopRequest
from app.jobs.service import LeaseLost, enqueue, enqueue_with, require_job
from app.jobs.stopping import stop_as
from app.sentences import N_

_WAIT_SECONDS: Final = 1.0
# Of the machines that web and worker run on, at most.
_CLOCKS_DIFFER: Final = timedelta(hours=1)


def queue(session: Session, actor: Actor, dataset_id: int, order: ImportPayload) -> tuple[DatasetImport, Job]:
    """Promise to import a staged file; the report is there at once and filled in when the job has ended.

    Raises NotFound, and Conflict for an archived dataset. That the dataset is being changed as a whole now does not
    matter: the job waits for that.
    """
    require_writable(session, dataset_id)
    return enqueue_with(
        session,
        JobKind.IMPORT,
        lambda job_id: DatasetImport(
            dataset_id=dataset_id,
            filename=order.filename,
            format=order.format,
            job_id=job_id,
            **actor.who.columns(),
        ),
        lambda import_id: order.model_copy(update={"dataset_id": dataset_id, "import_id": import_id}),
        created_by=actor.who,
    )


def queue_by_name(session: Session, actor: Actor, order: ImportPayload) -> tuple[DatasetImport | None, Job]:
    """As queue(), into the dataset of the order's name. Where there is none it is made once something comes in, and until
    then there is no report either. Raises Invalid for a name that cannot be one, and Conflict for one that is taken."""
    existing = find_dataset(session, order.dataset)
    if existing is not None and existing.id is not None:
        return queue(session, actor, existing.id, order)
    free_name(session, order.dataset)
    return None, enqueue(session, JobKind.IMPORT, order, created_by=actor.who)


def unfinished_uploads(session: Session) -> set[str]:
    """Tokens of the staged files that jobs still need."""
    statement = select(Job).where(Job.kind == JobKind.IMPORT, col(Job.finished_at).is_(None))
    return {job.asked(ImportPayload).upload for job in session.exec(statement)}


def jobs_of(session: Session, imports: Iterable[DatasetImport]) -> dict[int, Job]:
    """The jobs of those that have one, by their ids."""
    wanted = {found.job_id for found in imports if found.job_id is not None}
    jobs = session.exec(select(Job).where(col(Job.id).in_(wanted))) if wanted else ()
    return {job.id: job for job in jobs if job.id is not None}


def require_import_job(session: Session, job_id: int) -> Job:
    """The job, or NotFound, also for one of another kind."""
    job = require_job(session, job_id)
    if job.kind is not JobKind.IMPORT:
        raise NotFound(N_("There is no import with the job %(id)d."), id=job_id)
    return job


def report_of(session: Session, job: Job) -> DatasetImport:
    """What there is of the report of this job's import. Without an id where no dataset has it: none is made yet, or the
    file brought nothing."""
    order = job.asked(ImportPayload)
    brought = ImportResult.stored(job.result).brought if job.result else None
    import_id = brought.import_id if brought else order.import_id
    if import_id is not None:
        return service.require_import(session, import_id)
    said = (brought.report if brought else None) or {"filename": order.filename, "format": order.format}
    return DatasetImport(dataset_id=0, job_id=job.id, **said, **job.creator.columns())


def cancel(session: Session, actor: Actor, job: Job) -> Job:
    """End it; nothing of the file comes in. Raises Refused for somebody else's, which an engineer may end."""
    return stop_as(session, actor, job, StopRequest.CANCEL)


class Background:
    """One attempt at the job of an import, once its file is read: all of it goes into the database, or nothing."""

    def __init__(self, session: Session, job: Job, file: ReadFile, going: Going) -> None:
        assert job.id is not None
        self._session, self._job_id, self._file, self._going = session, job.id, file, going
        self._order = job.asked(ImportPayload)
        self._began = job.created_at
        who = job.creator
        self._actor = Actor(
            who.user_id or 0, who.name, Role(self._order.role), who.via or "session", token_id=who.token_id
        )

    def carry_out(self) -> DatasetImport:
        """The report; one without an id is not stored, since no dataset was made for it. Raises StudioError, and what
        `going` raises."""
        earlier = self._earlier()
        if earlier is not None and earlier.state is OperationState.DONE:
            return self._go_on(earlier.dataset_id)
        self._going.phase(Phase.STORING)
        if earlier is not None:
            service.undo(self._session, self._take(earlier), self._going.keep)
        found = self._wait_for_choice() or self._report(0)
        if found.waits_for_choice or not self._file.report.brings_anything:
            return self._keep(found)
        return self._bring_in(self._begin())

    def _bring_in(self, mine: Mine) -> DatasetImport:
        found = self._report(mine.dataset_id)
        corrections = Corrections(mine.dataset_id, self._order.same_questions)
        try:
            service.write(self._session, mine, self._actor, self._file, found, corrections, self._going.at)
            stored = service.publish(self._session, mine, self._actor, found, into=self._order.import_id)
        except (HandedBack, LeaseLost):
            raise  # another attempt begins with erasing what is staged
        except BaseException:
            self._session.rollback()
            service.undo_or_leave(self._session, mine, self._going.keep)
            raise
        corrections.replace(self._session, self._actor, self._file, stored, self._going.keep)
        return stored

    def _go_on(self, dataset_id: int) -> DatasetImport:
        """An attempt before this one stored everything: what is left are answers that take the place of old ones."""
        with piece(self._session, read_only=True):
            statement = select(DatasetImport).where(DatasetImport.job_id == self._job_id)
            stored = self._session.exec(statement).one()
        corrections = Corrections(dataset_id, self._order.same_questions)
        corrections.look_through(self._session, self._file, self._report(dataset_id), self._going.keep)
        corrections.replace(self._session, self._actor, self._file, stored, self._going.keep)
        return stored

    def _earlier(self) -> DatasetOperation | None:
        """What an attempt before this one began in the database."""
        with piece(self._session, read_only=True):
            statement = select(DatasetOperation).where(
                DatasetOperation.kind == OperationKind.IMPORT,
                col(DatasetOperation.started_at) >= self._began - _CLOCKS_DIFFER,
            )
            found = self._session.exec(statement).all()
        return next((one for one in found if one.details.get(operations.JOB) == self._job_id), None)

    def _take(self, earlier: DatasetOperation) -> Mine:
        with piece(self._session):
            return operations.take(self._session, earlier)

    def _report(self, dataset_id: int) -> DatasetImport:
        found = service.new_report(dataset_id, self._actor, self._file.report)
        found.job_id = self._job_id
        return found

    def _wait_for_choice(self) -> DatasetImport | None:
        """The report that names corrected records for which somebody has to choose, if there are any."""
        if self._order.same_questions != "ask" or not self._file.report.brings_anything:
            return None
        with piece(self._session, read_only=True):
            dataset_id = self._existing()
        if dataset_id is None:
            return None
        found = self._report(dataset_id)
        total = self._file.report.accepted
        waiting_for_a_choice(self._session, dataset_id, self._file, found, lambda: self._going.at(0, total))
        return found if found.waits_for_choice else None

    def _existing(self) -> int | None:
        if self._order.dataset_id is not None:
            return self._order.dataset_id
        existing = find_dataset(self._session, self._order.dataset)
        return existing.id if existing else None

    def _begin(self) -> Mine:
        """The operation on the dataset, made where there is none; waits while others change it as a whole."""
        total = self._file.report.accepted
        mine = self._try_to_begin(total)
        if mine is not None:
            return mine
        self._going.phase(Phase.WAITING)
        while mine is None:
            self._going.at(0, total)
            time.sleep(_WAIT_SECONDS)
            mine = self._try_to_begin(total)
        self._going.phase(Phase.STORING)
        return mine

    def _try_to_begin(self, total: int) -> Mine | None:
        details = OperationDetails(job=self._job_id)
        with piece(self._session):
            dataset_id = self._free_dataset()
            if dataset_id is None:
                return None
            return operations.begin(
                self._session, dataset_id, OperationKind.IMPORT, self._actor, total=total, details=details
            )

    def _free_dataset(self) -> int | None:
        """The dataset, held; None while somebody changes it as a whole, or makes one of this name."""
        dataset_id = self._existing()
        if dataset_id is not None:
            require_writable(self._session, dataset_id)
            return None if operations.under_way(self._session, dataset_id) else dataset_id
        holder = find_holder(self._session, self._order.dataset.strip())
        if holder is not None and holder.hidden:
            return None
        made = create_dataset(self._session, self._actor, name=self._order.dataset, hidden=True)
        return made.id

    def _keep(self, found: DatasetImport) -> DatasetImport:
        """Nothing comes in: the report is stored where there is a dataset that can have it."""
        found.accepted = 0
        with piece(self._session):
            dataset_id = self._existing()
            if dataset_id is None:
                return found
            require_writable(self._session, dataset_id)
            found.dataset_id = dataset_id
            return service.keep(self._session, found, self._actor, into=self._order.import_id)
