"""REST for mappings: those that are kept, and a trial on a file before anything is stored."""

from typing import Annotated, Any

from fastapi import File, Response, UploadFile
from pydantic import BaseModel

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.who import CreatedByOut
from app.core.routing import Router
from app.core.web import AppSettings, Db
from app.imports import mappings
from app.imports.mapping_document import MappingDocument
from app.imports.models import ImportMapping
from app.imports.remarks import remark_json
from app.imports.schemas import ImportRemarkOut
from app.imports.sources import Told
from app.interchange import ImportLimits
from app.interchange.mapping.trying import Upload

router = Router(prefix="/api/v1", tags=["datasets"])


class MappingOut(CreatedByOut):
    """A mapping that is kept."""

    name: str
    mapping: dict[str, Any]

    @classmethod
    def of(cls, found: ImportMapping) -> "MappingOut":
        """From the table."""
        return cls(
            name=found.name,
            mapping=found.document.to_json(),
            created_by=found.created_by,
            created_by_user_id=found.created_by_user_id,
            created_by_token_id=found.created_by_token_id,
        )


class MappingTrialOut(BaseModel):
    """What a file holds, and what a mapping makes of its beginning. `dialogues` are the first three; without a mapping
    there are none, and `suggested` is the one that the names suggest."""

    columns: list[str]
    records: list[dict[str, str]]
    values: dict[str, list[str]]
    suggested: dict[str, Any] | None
    dialogues: list[dict[str, Any]]
    count: int
    problem_count: int
    problems: list[ImportRemarkOut]
    notes: list[ImportRemarkOut]


@router.get("/import-mappings")
@needs(Permission.DATASET_READ)
def list_mappings(session: Db) -> list[MappingOut]:
    """Mappings that are kept, by name."""
    return [MappingOut.of(found) for found in mappings.list_mappings(session)]


@router.post("/import-mappings/trial")
@needs(Permission.DATASET_IMPORT)
def try_on_file(
    session: Db, settings: AppSettings, file: Annotated[UploadFile, File()], told: Told
) -> MappingTrialOut:
    """Look into a file, and try the mapping on it if one is given. Nothing is stored."""
    filename = file.filename or "upload"
    mapping = told.read(session, filename, "auto").mapping
    upload = Upload(file.file, filename, told.encoding, ImportLimits(file_bytes=settings.max_upload_bytes))
    sample = mappings.take_sample(upload)
    trial = upload.trial(mapping) if mapping else None
    return MappingTrialOut(
        columns=list(sample.columns),
        records=[dict(row) for row in sample.rows],
        values={column: list(values) for column, values in sample.values.items()},
        suggested=sample.suggestion.mapping.to_json() if sample.suggestion else None,
        dialogues=[dict(dialogue) for dialogue in trial.dialogues] if trial else [],
        count=trial.count if trial else 0,
        problem_count=trial.problem_count if trial else 0,
        problems=[ImportRemarkOut.of(remark_json(item)) for item in trial.problems] if trial else [],
        notes=[ImportRemarkOut.of(remark_json(item)) for item in trial.notes] if trial else [],
    )


@router.get("/import-mappings/{name}")
@needs(Permission.DATASET_READ)
def get_mapping(session: Db, name: str) -> MappingOut:
    """One of them."""
    return MappingOut.of(mappings.require_mapping(session, name))


@router.put("/import-mappings/{name}")
@needs(Permission.DATASET_IMPORT)
def keep_mapping(session: Db, actor: CurrentActor, name: str, mapping: MappingDocument) -> MappingOut:
    """Keep a mapping under this name, in place of what has it."""
    return MappingOut.of(mappings.keep_mapping(session, actor, name, mapping))


@router.delete("/import-mappings/{name}", status_code=204)
@needs(Permission.DATASET_IMPORT)
def remove_mapping(session: Db, actor: CurrentActor, name: str) -> Response:
    """Forget a mapping; what was imported by it stays."""
    mappings.remove_mapping(session, actor, name)
    return Response(status_code=204)
