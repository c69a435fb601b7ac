"""REST for exports of runs."""

from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from sqlmodel import Session

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.service import Actor, record
from app.core import ranges
from app.core.database import let_go, transaction
from app.core.ranges import Whole, answer_with
from app.core.routing import Router
from app.core.web import AppEngine, AppStorage, Db
from app.exports import service
from app.exports.downloads import chunks, find, zip_chunks, zip_size, zip_tag
from app.exports.kinds import KINDS
from app.exports.models import RunExport
from app.exports.schemas import ExportIn, ExportKindOut, ExportOut
from app.jobs.models import Job
from app.runs.service import require_run

router = Router(prefix="/api/v1", tags=["exports"])
HASH_HEADER = "X-Content-SHA256"
_FILE: Final[dict[str, Any]] = {
    "description": "The file.",
    "content": {"application/octet-stream": {}},
}
_ZIP: Final[dict[str, Any]] = {
    "description": "All files of the export.",
    "content": {"application/zip": {}},
}


def _shown(session: Session, export: RunExport, job: Job) -> ExportOut:
    files = service.files_of(session, [export.id or 0]).get(export.id or 0, [])
    return ExportOut.of(export, job, files)


@router.get("/export-kinds")
@needs(Permission.RUN_READ)
def list_kinds() -> list[ExportKindOut]:
    """What a run can be exported as, and what may be chosen of each."""
    return [ExportKindOut.of(kind) for kind in KINDS]


@router.post("/runs/{run_id}/exports", status_code=202)
@needs(Permission.RUN_DOWNLOAD)
def start_export(
    session: Db, storage: AppStorage, actor: CurrentActor, run_id: int, body: ExportIn
) -> ExportOut:
    """Have the files made. What is under way with the same choices is returned."""
    run = require_run(session, run_id)
    export, job = service.start_export(session, storage, actor, run, body.kind, body.choices)
    return _shown(session, export, job)


@router.get("/runs/{run_id}/exports")
@needs(Permission.RUN_READ)
def list_exports(session: Db, run_id: int) -> list[ExportOut]:
    """Exports of a run, newest first."""
    require_run(session, run_id)
    found = service.list_exports(session, run_id)
    files = service.files_of(session, [export.id or 0 for export, _job in found])
    return [ExportOut.of(export, job, files.get(export.id or 0, [])) for export, job in found]


@router.get("/exports/{export_id}")
@needs(Permission.RUN_READ)
def get_export(session: Db, export_id: int) -> ExportOut:
    """One export."""
    export = service.require_export(session, export_id)
    return _shown(session, export, service.export_job(session, export))


@router.post("/exports/{export_id}/stop")
@needs(Permission.RUN_DOWNLOAD)
def stop_export(session: Db, actor: CurrentActor, export_id: int) -> ExportOut:
    """Cancel an export that is being made; nothing of it is kept."""
    export = service.require_export(session, export_id)
    return _shown(session, export, service.stop_export(session, actor, export))


@router.delete("/exports/{export_id}", status_code=204)
@needs(Permission.RUN_DOWNLOAD)
def delete_export(session: Db, storage: AppStorage, actor: CurrentActor, export_id: int) -> Response:
    """Remove an export with its files. The run stays as it is."""
    service.delete_export(session, storage, actor, service.require_export(session, export_id))
    return Response(status_code=204)


@router.get(
    "/exports/{export_id}/files/{file_id}/content",
    response_class=StreamingResponse,
    responses={200: _FILE, **ranges.DOCUMENTED},
)
@needs(Permission.RUN_DOWNLOAD)
def download_file(
    request: Request,
    session: Db,
    engine: AppEngine,
    storage: AppStorage,
    actor: CurrentActor,
    export_id: int,
    file_id: int,
) -> Response:
    """One file, or the part of it that `Range` asks for; `X-Content-SHA256` is the hash of the whole. Where it changed on the disk, the
    answer breaks off before its end.
    """
    export = service.require_export(session, export_id)
    file = service.require_file(session, export_id, file_id)
    let_go(session)
    (found,) = find(storage, [file])
    _keep_in_mind(engine, actor, export, file.name)
    name = file.name.rpartition("/")[2]
    whole = Whole(file.size_bytes, file.sha256, name, "application/octet-stream")
    return answer_with(request, whole, chunks(found), {HASH_HEADER: file.sha256})


@router.get(
    "/exports/{export_id}/zip",
    response_class=StreamingResponse,
    responses={200: _ZIP, **ranges.DOCUMENTED},
)
@needs(Permission.RUN_DOWNLOAD)
def download_zip(
    request: Request, session: Db, engine: AppEngine, storage: AppStorage, actor: CurrentActor, export_id: int
) -> Response:
    """All files as one zip, or the part of it that `Range` asks for; it breaks off where a file changed on the disk."""
    export = service.require_export(session, export_id)
    files = service.require_files(session, export)
    let_go(session)
    found = find(storage, files)
    _keep_in_mind(engine, actor, export, "zip")
    name = f"run-{export.run_id}-{export.kind}"
    whole = Whole(zip_size(found, name), zip_tag(found, name), f"{name}.zip", "application/zip")
    return answer_with(request, whole, zip_chunks(found, name))


def _keep_in_mind(engine: AppEngine, actor: Actor, export: RunExport, what: str) -> None:
    with transaction(engine) as session:
        record(session, actor, "run.export_download", f"run/{export.run_id} {export.kind}: {what}")
