"""The pages on which a person says what the columns of a file mean, and sees the dialogues before anything is stored."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Form, Request, Response
from fastapi.responses import HTMLResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.core.errors import Invalid
from app.core.i18n import gettext
from app.core.pieces import piece
from app.core.routing import Router
from app.core.storage import Storage
from app.core.templating import go, is_htmx, render
from app.core.web import AppSettings, AppStorage, Db
from app.datasets.archives import refuse_archived
from app.datasets.service import require_dataset
from app.imports import mappings, staging
from app.imports.mapping_document import read_mapping
from app.imports.mapping_form import ChosenMapping, form_context, place_known, say_missing
from app.imports.options import Asking
from app.imports.reports import report_context, same_choices
from app.imports.sending import Door, Sent
from app.interchange import ImportLimits, Source
from app.interchange.mapping.sample import Sample
from app.interchange.mapping.trying import Trial, Upload
from app.sentences import N_

router = Router(include_in_schema=False)
_PATH: Final = "/datasets/{dataset_id}/import/mapping/{token}"
KeptName = Annotated[str, Form(max_length=80, title=N_("Keep this mapping as"))]


@dataclass(frozen=True)
class _Step:
    """A staged file with a mapping that need not be whole yet."""

    upload: staging.StagedUpload
    sample: Sample
    document: dict[str, Any]
    names: tuple[str, ...]
    trial: Trial | None
    error: str | None

    def context(self) -> dict[str, Any]:
        """What the step shows."""
        return {
            "upload": self.upload,
            "sample": self.sample,
            "trial": self.trial,
            "problems": [problem.said(gettext) for problem in self.trial.problems] if self.trial else [],
            "remarks": [note.said(gettext) for note in self.trial.notes] if self.trial else [],
            "unread": [problem.said(gettext) for problem in self.sample.problems],
            "error": self.error,
            "looked_at": self.sample.read,
            "same_choices": same_choices(),
            "is_whole": self.sample.is_whole,
            **form_context(self.sample, self.document, self.names),
        }


def _look(
    storage: Storage,
    actor: Actor,
    dataset_id: int,
    token: str,
    limits: ImportLimits,
    document: dict[str, Any] | None,
    shown: frozenset[str] | None = None,
) -> _Step:
    """Raises NotFound for a file that is gone, Invalid for one in which no records are found."""
    with staging.open_staged(storage, actor, dataset_id, token) as (staged, file):
        upload = Upload(file, staged.filename, staged.encoding, limits)
        sample = mappings.take_sample(upload)
        if document is None:
            document = sample.suggestion.mapping.to_json() if sample.suggestion else {}
        names: tuple[str, ...] = ()
        if document.get("turns") == "text" and document.get("field"):
            names = upload.names(document["field"])
        if shown is not None:
            place_known(sample, document, names, shown)
        trial, error = None, None
        try:
            trial = upload.trial(read_mapping(document))
        except Invalid as invalid:
            error = say_missing(document) or invalid.translated()
    return _Step(staged, sample, document, names, trial, error)


@router.get(_PATH)
@needs(Permission.DATASET_IMPORT)
def mapping_page(
    request: Request,
    session: Db,
    storage: AppStorage,
    settings: AppSettings,
    actor: CurrentActor,
    dataset_id: int,
    token: str,
    mapping: str = "",
) -> HTMLResponse:
    """The first records, the form, and the first dialogues by what the names suggest, or by a kept mapping."""
    document = None
    if mapping:
        with piece(session, read_only=True):
            document = mappings.require_mapping(session, mapping).document.to_json()
    step = _look(storage, actor, dataset_id, token, _limits(settings), document)
    refuse_archived(session, dataset_id)
    return render(request, "datasets/import_mapping.html", _shown(session, dataset_id, step, mapping))


@router.post(f"{_PATH}/preview")
@needs(Permission.DATASET_IMPORT)
def preview_mapping(
    request: Request,
    session: Db,
    storage: AppStorage,
    settings: AppSettings,
    actor: CurrentActor,
    dataset_id: int,
    token: str,
    chosen: ChosenMapping,
    name: KeptName = "",
) -> HTMLResponse:
    """The form after a choice, and the dialogues that come of it. Nothing is stored."""
    step = _look(storage, actor, dataset_id, token, _limits(settings), chosen.document, chosen.shown)
    template = "datasets/_mapping_step.html" if is_htmx(request) else "datasets/import_mapping.html"
    return render(request, template, _shown(session, dataset_id, step, name))


@router.post(_PATH, response_model=None)
@needs(Permission.DATASET_IMPORT)
def import_by_mapping(
    request: Request,
    session: Db,
    storage: AppStorage,
    settings: AppSettings,
    actor: CurrentActor,
    dataset_id: int,
    token: str,
    chosen: ChosenMapping,
    options: Asking,
    name: KeptName = "",
) -> Response:
    """Import the staged file by this mapping, which is kept when it has a name."""
    mapping = chosen.mapping()
    kept_name = mappings.require_name(name) if name.strip() else ""
    with staging.open_staged(storage, actor, dataset_id, token) as (upload, file):
        source = Source(encoding=upload.encoding, mapping=mapping)
        sent = Sent(file, upload.filename, options, source, upload=token)
        came = Door(session, storage, settings, actor).into(dataset_id, sent)
    if kept_name:
        mappings.keep_mapping(session, actor, kept_name, mapping)
    found = came.report
    assert found is not None
    page = f"/datasets/{dataset_id}/imports/{found.id}"
    if came.job or (came.read and came.read.brings_anything and not found.waits_for_choice):
        return go(request, page)
    if not is_htmx(request):
        return go(request, f"{page}?mapping={token}")
    context = report_context(require_dataset(session, dataset_id), found, retry_form="mapping-form")
    return render(request, "datasets/_import_report.html", context, status=422)


@router.post(f"{_PATH}/forget")
@needs(Permission.DATASET_IMPORT)
def forget_mapping(
    session: Db,
    request: Request,
    actor: CurrentActor,
    dataset_id: int,
    token: str,
    mapping: Annotated[str, Form(max_length=80)],
) -> Response:
    """Forget a kept mapping; the file goes on waiting."""
    mappings.remove_mapping(session, actor, mapping)
    return go(request, staging.mapping_href(dataset_id, token) or f"/datasets/{dataset_id}/import")


def _shown(session: Db, dataset_id: int, step: _Step, name: str) -> dict[str, Any]:
    names = [found.name for found in mappings.list_mappings(session)]
    return {
        "dataset": require_dataset(session, dataset_id),
        "kept": names,
        "kept_options": [("", "—"), *((one, one) for one in names)],
        "kept_name": name,
        **step.context(),
    }


def _limits(settings: AppSettings) -> ImportLimits:
    return ImportLimits(file_bytes=settings.max_upload_bytes)
