"""Pages of one import: the form, and the report of what came in."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.responses import HTMLResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.errors import Invalid, NotFound
from app.core.i18n import gettext, say
from app.core.templating import go, is_htmx, render
from app.core.web import AppSettings, Db
from app.datasets.archives import refuse_archived
from app.datasets.models import Dataset
from app.datasets.service import require_dataset
from app.dialogue.limits import spoken_size
from app.imports import service
from app.imports.incoming import IncomingFile
from app.imports.models import DatasetImport
from app.imports.sources import Told, ToldSource
from app.interchange import FORMATS, Format, ImportLimits
from app.interchange.sentences.files import FILE_TOO_LARGE
from app.sentences import N_, Sentence

router = APIRouter(include_in_schema=False)
_FORMAT_LABELS: Final = {
    "auto": N_("Detect it"),
    "messages": N_("OpenAI messages (JSON Lines)"),
    "sharegpt": N_("ShareGPT"),
    "alpaca": N_("Alpaca"),
    "csv": N_("CSV or another table"),
    "parquet": N_("Parquet"),
}

_REPORT_LABELS: Final = {**_FORMAT_LABELS, "csv": N_("CSV"), "xlsx": N_("Excel")}


def _import_form(
    settings: AppSettings, dataset: Dataset, format: str = "auto", **more: Any
) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "formats": [(name, gettext(_FORMAT_LABELS[name])) for name in FORMATS],
        "format": format,
        "skip_bad": False,
        "error": None,
        "max_bytes": settings.max_upload_bytes,
        "too_large": say(Sentence.of(FILE_TOO_LARGE.template, limit=spoken_size(settings.max_upload_bytes))),
        **ToldSource().form(),
        **more,
    }


@router.get("/datasets/{dataset_id}/import")
@needs(Permission.DATASET_IMPORT)
def import_page(request: Request, session: Db, settings: AppSettings, dataset_id: int) -> HTMLResponse:
    """Choose a file."""
    dataset = require_dataset(session, dataset_id)
    refuse_archived(session, dataset_id)
    return render(request, "datasets/import.html", {**_import_form(settings, dataset), "report": None})


@router.post("/datasets/{dataset_id}/import", response_model=None)
@needs(Permission.DATASET_IMPORT)
def import_file(
    request: Request,
    session: Db,
    settings: AppSettings,
    actor: CurrentActor,
    dataset_id: int,
    file: Annotated[UploadFile | None, File()] = None,
    format: Annotated[Format, Form()] = "auto",
    skip_bad: Annotated[bool, Form()] = False,
    *,
    told: Told,
) -> Response:
    """Import a file; the report says what came in. htmx stays on the form when nothing did."""
    if file is None or not file.filename:
        dataset = require_dataset(session, dataset_id)
        text = gettext("Choose a file first.")
        form = _import_form(
            settings, dataset, format, skip_bad=skip_bad, error=text, report=None, **told.form()
        )
        template = "datasets/_import_form.html" if is_htmx(request) else "datasets/import.html"
        return render(request, template, form, status=422)
    try:
        source = told.read(file.filename, format)
    except Invalid as error:
        if is_htmx(request):
            raise  # a toast: the form with its chosen files stays
        dataset = require_dataset(session, dataset_id)
        form = _import_form(settings, dataset, format, skip_bad=skip_bad, report=None, **told.form(error))
        return render(request, "datasets/import.html", form, status=422)
    limits = ImportLimits(file_bytes=settings.max_upload_bytes)
    with IncomingFile(
        file.file, filename=file.filename, format=format, skip_bad=skip_bad, limits=limits, source=source
    ) as incoming:
        found = service.import_file(session, dataset_id, actor, incoming)
    dataset = require_dataset(session, dataset_id)
    if is_htmx(request) and found.problem_count and not found.accepted:
        return render(
            request, "datasets/_import_report.html", _report(dataset, found, can_retry=True), status=422
        )
    return go(request, f"/datasets/{dataset_id}/imports/{found.id}")


def _report(dataset: Dataset, found: DatasetImport, *, can_retry: bool = False) -> dict[str, Any]:
    # A file that tells nothing of itself has no format, whatever was chosen.
    label = N_("unknown") if found.format == "auto" else _REPORT_LABELS.get(found.format, found.format)
    return {
        "dataset": dataset,
        "report": found,
        "problems": [_remark(item) for item in found.problems],
        "notes": [_remark(item) for item in found.notes],
        "format_label": gettext(label),
        "can_retry": can_retry,
        "is_unreadable": bool(found.problems) and not any(item["line"] for item in found.problems),
    }


def _remark(stored: dict[str, Any]) -> dict[str, Any]:
    message = say(Sentence.stored_in(stored))
    return {
        "line": stored["line"],
        "code": stored["code"],
        "message": message,
        "member": stored.get("member", ""),
    }


@router.get("/datasets/{dataset_id}/imports/{import_id}")
@needs(Permission.DATASET_READ)
def import_report_page(
    request: Request, session: Db, settings: AppSettings, dataset_id: int, import_id: int
) -> HTMLResponse:
    """What an import brought, and each line that it did not."""
    dataset = require_dataset(session, dataset_id)
    found = service.require_import(session, import_id)
    if found.dataset_id != dataset_id:
        raise NotFound(N_("There is no import %(id)d."), id=import_id)
    form = _import_form(settings, dataset, skip_bad=True)
    return render(request, "datasets/import_report.html", {**form, **_report(dataset, found)})
