"""REST: a frozen version as a download for another tool."""

import json
from typing import Annotated

from fastapi import Query
from fastapi.responses import StreamingResponse
from sqlalchemy import Engine

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.service import Actor, record
from app.core.database import let_go, transaction
from app.core.routing import Router
from app.core.web import AppEngine, AppStorage, Db
from app.datasets.service import require_dataset
from app.interchange.exports.exporting import ExportFormat, FlagChoice, Part
from app.versions import exports
from app.versions.models import DatasetVersion
from app.versions.service import require_version

router = Router(prefix="/api/v1", tags=["datasets"])
REPORT_HEADER = "X-Export-Report"


@router.get(
    "/versions/{version_id}/export",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The file, or a zip of several (axolotl, llamafactory, trl).",
            "content": {"application/x-ndjson": {}, "text/csv": {}, "application/zip": {}},
        }
    },
)
@needs(Permission.VERSION_EXPORT)
def export_version(
    session: Db,
    engine: AppEngine,
    storage: AppStorage,
    actor: CurrentActor,
    version_id: int,
    format: Annotated[ExportFormat, Query(alias="as", description="The format to write.")],
    flags: Annotated[
        FlagChoice,
        Query(
            description="Turn flags that the format has no place for: refuse, drop, or split into samples."
        ),
    ] = "refuse",
    part: Annotated[Part, Query(description="All conversations, or one part of the split.")] = "all",
    leave_out: Annotated[
        bool, Query(description="Leave out conversations that do not fit the format.")
    ] = False,
) -> StreamingResponse:
    """A version in another tool's format. 422 where it cannot be had exactly, naming the first conversation."""
    version = require_version(session, version_id)
    dataset = require_dataset(session, version.dataset_id)
    let_go(session)
    found = exports.export_version(
        storage, dataset, version, format, flags=flags, part=part, leave_out=leave_out
    )
    return send(found, engine, actor, version)


def send(
    download: exports.Download, engine: Engine, actor: Actor, version: DatasetVersion
) -> StreamingResponse:
    """The response that carries a download, with its report in a header; that it went out is kept."""
    with transaction(engine) as session:
        record(session, actor, "version.export", f"version/{version.id}")
    report = download.report
    counts = {
        "conversations": report.conversations,
        "samples": report.samples,
        "untrained": report.untrained,
        "left_out": report.left_out_count,
        "mask": report.mask,
    }
    headers = {
        "Content-Disposition": f'attachment; filename="{download.filename}"',
        "Content-Length": str(download.size_bytes),
        REPORT_HEADER: json.dumps(counts),
    }
    return StreamingResponse(download.chunks(), media_type=download.media_type, headers=headers)
