"""Pages of one import: how far it is while a worker reads and stores it, its report, and the file once more."""

from typing import Annotated, Any, Final

from fastapi import Form, Request, Response

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.conversations.counts import dataset_counts
from app.core.errors import NotFound
from app.core.pieces import piece
from app.core.routing import Router
from app.core.storage import Storage
from app.core.templating import go, is_htmx, render
from app.core.web import AppSettings, AppStorage, Db
from app.datasets.service import require_dataset
from app.imports import background, service, staging
from app.imports.models import DatasetImport
from app.imports.pages import import_form
from app.imports.reports import MAPPING_HELPS, report_context
from app.imports.sending import Door, Sent
from app.imports.work import ImportOptions, ImportPayload, SameQuestions
from app.jobs.events import Phase, ProgressPayload
from app.jobs.models import Job, JobState
from app.jobs.newest import last_event
from app.jobs.service import require_job
from app.sentences import N_

router = Router(include_in_schema=False)
_PATH: Final = "/datasets/{dataset_id}/imports/{import_id}"
AGAIN: Final = "again-form"


def _require(session: Db, dataset_id: int, import_id: int) -> tuple[DatasetImport, Job | None]:
    found = service.require_import(session, import_id)
    if found.dataset_id != dataset_id:
        raise NotFound(N_("There is no import %(id)d."), id=import_id)
    return found, require_job(session, found.job_id) if found.job_id is not None else None


@router.get(_PATH, response_model=None)
@needs(Permission.DATASET_READ)
def import_report_page(
    request: Request,
    session: Db,
    settings: AppSettings,
    storage: AppStorage,
    actor: CurrentActor,
    dataset_id: int,
    import_id: int,
    mapping: str = "",
) -> Response:
    """What an import brought, and each line that it did not; while it is under way, how far it is. `mapping` names its
    file while that waits for a mapping."""
    dataset = require_dataset(session, dataset_id)
    found, job = _require(session, dataset_id, import_id)
    progress = _progress(session, job)
    under_way = {"dataset": dataset, "report": found, "job": job, "retry_form": "", **progress}
    if is_htmx(request):
        if job is None or job.is_final:
            return go(request, f"/datasets/{dataset_id}/imports/{import_id}")
        return render(request, "datasets/_import_progress.html", under_way)
    kept = _kept(storage, actor, found, job) if job else {}
    href = staging.mapping_href(dataset_id, mapping)
    context = {
        **under_way,
        **import_form(settings, dataset, skip_bad=True),
        **report_context(dataset, found, **{"mapping_href": href, **kept}),
        "drafts_left": dataset_counts(session, dataset_id).draft,
    }
    return render(request, "datasets/import_report.html", context)


def _progress(session: Db, job: Job | None) -> dict[str, Any]:
    """Of what is under way: the newest figures, which belong to the phase if they came after it began."""
    if job is None or job.id is None or job.state is not JobState.RUNNING:
        return {"progress": None, "is_reading": False}
    is_reading = job.phase == Phase.READING
    found = last_event(session, job.id, ProgressPayload)
    if found and ("records" in found) != is_reading:
        found = None
    return {"progress": found, "is_reading": is_reading}


def _kept(storage: Storage, actor: Actor, found: DatasetImport, job: Job) -> dict[str, str]:
    """The form that imports the file once more, and the way to a mapping for it, for whoever sent it while it is kept."""
    upload = job.asked(ImportPayload).upload
    if not job.is_final or found.created_by_user_id != actor.user_id or not staging.is_kept(storage, upload):
        return {}
    helps = any(problem["code"] in MAPPING_HELPS for problem in found.problems)
    href = staging.mapping_href(found.dataset_id, upload) if helps and not found.brought_anything else ""
    return {"retry_form": AGAIN, "mapping_href": href}


@router.post(f"{_PATH}/again", response_model=None)
@needs(Permission.DATASET_IMPORT)
def import_again(
    request: Request,
    session: Db,
    settings: AppSettings,
    storage: AppStorage,
    actor: CurrentActor,
    dataset_id: int,
    import_id: int,
    skip_bad: Annotated[bool, Form()] = False,
    same_questions: Annotated[SameQuestions | None, Form()] = None,
) -> Response:
    """The file of an import of which nothing came in, once more, with another choice."""
    with piece(session, read_only=True):
        _found, job = _require(session, dataset_id, import_id)
        if job is None:
            raise NotFound(staging.GONE)
        order = job.asked(ImportPayload)
    with staging.open_staged(storage, actor, dataset_id, order.upload) as (upload, file):
        sent = Sent(
            file,
            upload.filename,
            ImportOptions(
                format=order.format,
                skip_bad=skip_bad or order.skip_bad,
                same_questions=same_questions or order.same_questions,
            ),
            order.source,
            upload=upload.token,
        )
        came = Door(session, storage, settings, actor).into(dataset_id, sent)
    assert came.report is not None
    return go(request, f"/datasets/{dataset_id}/imports/{came.report.id}")


@router.post(f"{_PATH}/cancel", response_model=None)
@needs(Permission.DATASET_IMPORT)
def cancel_import(
    request: Request, session: Db, actor: CurrentActor, dataset_id: int, import_id: int
) -> Response:
    """End it; nothing of the file comes in."""
    _found, job = _require(session, dataset_id, import_id)
    if job is not None and not job.is_final:
        background.cancel(session, actor, job)
    return go(request, f"/datasets/{dataset_id}/imports/{import_id}")
