"""REST for imports."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, File, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.web import AppSettings, AppStorage, Db
from app.datasets.service import require_dataset
from app.imports import background, service
from app.imports.options import Keeping
from app.imports.schemas import ImportOut
from app.imports.sending import Came, Door, Sent
from app.imports.sources import Told
from app.imports.waiting import WhenItHasEnded, status_of
from app.jobs.schemas import JobOut

router = Router(prefix="/api/v1", tags=["datasets"])

Wait = Annotated[
    bool,
    Form(
        description="A large file is read by a job. Wait for its report, a quarter of an hour at most; false: 202 at once, with "
        "the job to follow."
    ),
]
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {202: {"model": ImportOut}, 422: {"model": ImportOut}}


def _sent_file(
    session: Db,
    file: Annotated[UploadFile, File()],
    told: Told,
    options: Keeping,
) -> Sent:
    """The file of a request with what was said about it."""
    filename = file.filename or "upload"
    return Sent(file.file, filename, options, told.read(session, filename, options.format))


def _door(session: Db, storage: AppStorage, settings: AppSettings, actor: CurrentActor) -> Door:
    return Door(session, storage, settings, actor)


SentFile = Annotated[Sent, Depends(_sent_file, scope="function")]
AppDoor = Annotated[Door, Depends(_door, scope="function")]


@router.post("/imports", status_code=201, response_model=ImportOut, responses=_ANSWERS)
@needs(Permission.DATASET_IMPORT)
def import_by_name(
    request: Request,
    door: AppDoor,
    dataset: Annotated[str, Form(description="Name of the dataset.")],
    sent: SentFile,
    wait: Wait = True,
) -> Response:
    """Import a file into the dataset of this name, made if there is none. A file that brings nothing makes none."""
    return _answer(request, door, door.by_name(dataset, sent), sent, wait=wait)


@router.post("/datasets/{dataset_id}/imports", status_code=201, response_model=ImportOut, responses=_ANSWERS)
@needs(Permission.DATASET_IMPORT)
def import_file(
    request: Request, door: AppDoor, dataset_id: int, sent: SentFile, wait: Wait = True
) -> Response:
    """Import a file. 201 when conversations came in; 422 with the report when a problem kept all of them out."""
    return _answer(request, door, door.into(dataset_id, sent), sent, wait=wait)


def _answer(request: Request, door: Door, came: Came, sent: Sent, *, wait: bool) -> Response:
    job = came.job
    if job is None:
        assert came.report is not None
        status = status_of(came.report, skip_bad=sent.options.skip_bad)
        return JSONResponse(ImportOut.of(came.report).model_dump(mode="json"), status)
    assert job.id is not None
    if wait:
        return WhenItHasEnded(request.app.state.engine, job.id, request.app.state.streams)
    report = came.report or background.report_of(door.session, job)
    return JSONResponse(ImportOut.of(report, job).model_dump(mode="json"), HTTPStatus.ACCEPTED)


@router.get("/datasets/{dataset_id}/imports")
@needs(Permission.DATASET_READ)
def list_imports(session: Db, dataset_id: int) -> list[ImportOut]:
    """Reports of all imports, newest first, those under way with them."""
    require_dataset(session, dataset_id)
    imports = service.list_imports(session, dataset_id)
    jobs = background.jobs_of(session, imports)
    return [ImportOut.of(found, jobs.get(found.job_id or 0)) for found in imports]


@router.get("/imports/{import_id}")
@needs(Permission.DATASET_READ)
def get_import(session: Db, import_id: int) -> ImportOut:
    """The report of one import."""
    found = service.require_import(session, import_id)
    return ImportOut.of(found, background.jobs_of(session, [found]).get(found.job_id or 0))


@router.get("/imports/jobs/{job_id}")
@needs(Permission.DATASET_READ)
def get_import_of_job(session: Db, job_id: int) -> ImportOut:
    """The report of a job's import, as far as it is known: also of one for which no dataset was made."""
    job = background.require_import_job(session, job_id)
    return ImportOut.of(background.report_of(session, job), job)


@router.post("/imports/jobs/{job_id}/cancel")
@needs(Permission.DATASET_IMPORT)
def cancel_import(session: Db, actor: CurrentActor, job_id: int) -> JobOut:
    """End an import that one has begun; nothing of the file comes in. Those of others: engineers."""
    return JobOut.of(background.cancel(session, actor, background.require_import_job(session, job_id)))
