"""The page on which a file is chosen or pasted."""

import io
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, Final

from fastapi import Depends, File, Form, Request, Response, UploadFile
from fastapi.responses import HTMLResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.errors import Invalid
from app.core.i18n import gettext, say
from app.core.routing import Router
from app.core.templating import go, is_htmx, render
from app.core.web import AppSettings, AppStorage, Db
from app.datasets.archives import refuse_archived
from app.datasets.models import Dataset
from app.datasets.service import require_dataset
from app.dialogue.limits import spoken_size
from app.imports import staging
from app.imports.options import Asking
from app.imports.reports import FORMAT_LABELS, MAPPING_HELPS, report_context, same_choices
from app.imports.sending import Door, Sent
from app.imports.sources import Told, ToldSource
from app.imports.work import ImportOptions
from app.interchange import FORMATS
from app.interchange.sentences.files import FILE_TOO_LARGE
from app.sentences import Sentence

router = Router(include_in_schema=False)
PASTED: Final = "pasted.txt"


@dataclass(frozen=True)
class _Given:
    """What was chosen or pasted."""

    stream: BinaryIO | None
    filename: str

    @property
    def is_pasted(self) -> bool:
        """Whether it is no file."""
        return self.filename == PASTED


def _given(file: Annotated[UploadFile | None, File()] = None, pasted: Annotated[str, Form()] = "") -> _Given:
    if file is not None and file.filename:
        return _Given(file.file, file.filename)
    return _Given(io.BytesIO(pasted.encode()) if pasted.strip() else None, PASTED)


def import_form(settings: AppSettings, dataset: Dataset, format: str = "auto", **more: Any) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "formats": [(name, gettext(FORMAT_LABELS[name])) for name in FORMATS],
        "format": format,
        "skip_bad": False,
        "same_choices": same_choices(),
        "same_questions": "ask",
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
    return render(request, "datasets/import.html", {**import_form(settings, dataset), "report": None})


@router.post("/datasets/{dataset_id}/import", response_model=None)
@needs(Permission.DATASET_IMPORT)
def import_file(
    request: Request,
    session: Db,
    settings: AppSettings,
    storage: AppStorage,
    actor: CurrentActor,
    dataset_id: int,
    given: Annotated[_Given, Depends(_given)],
    options: Asking,
    told: Told,
    map: Annotated[bool, Form()] = False,
) -> Response:
    """Import a file; the report says what came in. htmx stays on the form when nothing did, and from there a person can go
    on to say what the columns mean, as after asking for that."""
    stream = given.stream
    if stream is None:
        text = gettext("Choose a file first, or paste something.")
        return _form_again(request, session, settings, dataset_id, options, told, error=text)
    try:
        source = told.read(session, given.filename, options.format)
    except Invalid as error:
        if is_htmx(request):
            raise  # a toast: the form with its chosen files stays
        return _form_again(request, session, settings, dataset_id, options, told, wrong=error)
    door = Door(session, storage, settings, actor)
    wanted = Sent(
        stream,
        given.filename,
        options,
        source,
        # What is pasted is not worth a report.
        left_for_mapping=MAPPING_HELPS if given.is_pasted else frozenset(),
    )
    if map:
        return go(request, staging.mapping_href(dataset_id, door.stage(wanted, dataset_id)))
    came = door.into(dataset_id, wanted)
    href = ""
    if came.read and came.read.has_problem(MAPPING_HELPS) and not came.read.brings_anything:
        href = staging.mapping_href(dataset_id, door.stage(wanted, dataset_id))
    found = came.report
    if found is None:
        return go(request, href)
    if is_htmx(request) and (found.problem_count or found.waits_for_choice) and not found.brought_anything:
        dataset = require_dataset(session, dataset_id)
        context = report_context(dataset, found, retry_form="import-form", mapping_href=href)
        return render(request, "datasets/_import_report.html", context, status=422)
    token = f"?mapping={href.rpartition('/')[2]}" if href else ""
    return go(request, f"/datasets/{dataset_id}/imports/{found.id}{token}")


def _form_again(
    request: Request,
    session: Db,
    settings: AppSettings,
    dataset_id: int,
    options: ImportOptions,
    told: ToldSource,
    *,
    error: str | None = None,
    wrong: Invalid | None = None,
) -> HTMLResponse:
    dataset = require_dataset(session, dataset_id)
    form = import_form(
        settings,
        dataset,
        options.format,
        skip_bad=options.skip_bad,
        same_questions=options.same_questions,
        error=error,
        report=None,
        **told.form(wrong),
    )
    template = "datasets/_import_form.html" if is_htmx(request) else "datasets/import.html"
    return render(request, template, form, status=422)
