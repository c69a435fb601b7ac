"""REST for imports."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Response, UploadFile

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.web import AppSettings, Db
from app.datasets.service import require_dataset
from app.imports import service
from app.imports.corrections import SameQuestions
from app.imports.incoming import IncomingFile
from app.imports.schemas import ImportOut
from app.imports.sources import Told
from app.interchange import Format, ImportLimits

router = APIRouter(prefix="/api/v1", tags=["datasets"])


def _sent_file(
    session: Db,
    settings: AppSettings,
    file: Annotated[UploadFile, File()],
    told: Told,
    format: Annotated[Format, Form()] = "auto",
    skip_bad: Annotated[bool, Form()] = False,
) -> Iterator[IncomingFile]:
    """The file of a request with what was said about it, open until the answer is made."""
    filename = file.filename or "upload"
    source = told.read(session, filename, format)
    limits = ImportLimits(file_bytes=settings.max_upload_bytes)
    with IncomingFile(
        file.file, filename=filename, format=format, skip_bad=skip_bad, limits=limits, source=source
    ) as sent:
        yield sent


Same = Annotated[
    SameQuestions,
    Form(
        description="What becomes of records that ask the same as a conversation of the dataset and answer otherwise: both are "
        "kept, the old one is replaced as a new revision, the new one is skipped; ask: nothing comes in while there are any."
    ),
]
SentFile = Annotated[IncomingFile, Depends(_sent_file, scope="function")]


@router.post("/imports", status_code=201, responses={422: {"model": ImportOut}})
@needs(Permission.DATASET_IMPORT)
def import_by_name(
    session: Db,
    actor: CurrentActor,
    response: Response,
    dataset: Annotated[str, Form(max_length=80)],
    sent: SentFile,
    same_questions: Same = "keep",
) -> ImportOut:
    """Import a file into the dataset of this name, made if there is none. A file that brings nothing makes none."""
    report = service.import_by_name(session, dataset, actor, sent, same_questions)
    if report.waits_for_choice or (report.problem_count and (report.id is None or not sent.skip_bad)):
        response.status_code = 422
    return ImportOut.of(report)


@router.post("/datasets/{dataset_id}/imports", status_code=201, responses={422: {"model": ImportOut}})
@needs(Permission.DATASET_IMPORT)
def import_file(
    session: Db,
    actor: CurrentActor,
    response: Response,
    dataset_id: int,
    sent: SentFile,
    same_questions: Same = "keep",
) -> ImportOut:
    """Import a file. 201 when conversations came in; 422 with the report when a problem kept all of them out."""
    report = service.import_file(session, dataset_id, actor, sent, same_questions)
    if report.waits_for_choice or (report.problem_count and not sent.skip_bad):
        response.status_code = 422
    return ImportOut.of(report)


@router.get("/datasets/{dataset_id}/imports")
@needs(Permission.DATASET_READ)
def list_imports(session: Db, dataset_id: int) -> list[ImportOut]:
    """Reports of all imports, newest first."""
    require_dataset(session, dataset_id)
    return [ImportOut.of(found) for found in service.list_imports(session, dataset_id)]


@router.get("/imports/{import_id}")
@needs(Permission.DATASET_READ)
def get_import(session: Db, import_id: int) -> ImportOut:
    """The report of one import."""
    return ImportOut.of(service.require_import(session, import_id))
