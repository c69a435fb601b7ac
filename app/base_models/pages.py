"""Pages of base models: the list with its live states, adding one, trying again."""

from typing import Annotated, Any, Final

from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.base_models import removal, service
from app.base_models.models import NAMED, BaseModelSource
from app.core.errors import Conflict, Invalid
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.settings import Settings
from app.core.templating import is_htmx, render, toast
from app.core.web import AppSettings, AppStorage, Db
from app.jobs.events import EventKind
from app.jobs.newest import last_events
from app.jobs.service import require_job
from app.sentences import N_

router = Router(prefix="/base-models", include_in_schema=False)
_EMPTY_FORM = {"source": "hub", "reference": "", "name": "", "revision": ""}
# As the form calls it.
_LABELS: Final = {"reference": N_("Hub id or folder")}


def _context(session: Db, settings: Settings) -> dict[str, Any]:
    models = service.list_base_models(session)
    waiting = [job.id for _model, job in models if job and job.id and not job.is_final]
    return {
        "models": models,
        "progress": last_events(session, waiting, (EventKind.PROGRESS,)),
        "in_progress": any(job and not job.is_final for _model, job in models),
        "has_bundled": any(model.source is BaseModelSource.BUNDLED for model, _job in models),
        "bundled_name": service.BUNDLED_NAME,
        "roots": [str(settings.data_dir), *(str(root) for root in settings.model_roots)],
        "form": _EMPTY_FORM,
        "errors": {},
    }


@router.get("", response_model=None)
@needs(Permission.BASE_MODEL_READ)
def list_page(request: Request, session: Db, settings: AppSettings) -> Response:
    """All base models; the list alone for htmx."""
    name = "base_models/_list.html" if is_htmx(request) else "base_models/page.html"
    return render(request, name, _context(session, settings))


@router.post("", response_model=None)
@needs(Permission.BASE_MODEL_ADD)
def add(
    request: Request,
    session: Db,
    settings: AppSettings,
    actor: CurrentActor,
    source: Annotated[str, Form()] = "",
    reference: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    revision: Annotated[str, Form()] = "",
) -> Response:
    """Register a model and begin to prepare it; a mistake comes back beside its field."""
    try:
        _model, _job = service.add_base_model(
            session,
            settings,
            actor,
            source=_parse_source(source),
            reference=reference,
            name=name,
            revision=revision.strip() or None,
        )
    except (Invalid, Conflict) as error:
        form = {"source": source, "reference": reference, "name": name, "revision": revision}
        context = _context(session, settings)
        context |= {"form": form, "errors": {error.field or "reference": error.on_form(_LABELS)}}
        return render(request, "base_models/page.html", context, status=error.status)
    return RedirectResponse("/base-models", status_code=303)


@router.post("/{base_model_id}/retry", response_model=None)
@needs(Permission.BASE_MODEL_ADD)
def retry(
    request: Request, session: Db, settings: AppSettings, actor: CurrentActor, base_model_id: int
) -> Response:
    """Prepare a model again whose preparation failed."""
    _model, _job = service.retry(session, actor, base_model_id)
    if not is_htmx(request):
        return RedirectResponse("/base-models", status_code=303)
    response = render(request, "base_models/_list.html", _context(session, settings))
    response.headers.update(toast(gettext(N_("Preparing the model again."))))
    return response


@router.post("/{base_model_id}/remove", response_model=None)
@needs(Permission.BASE_MODEL_REMOVE)
def remove(
    session: Db, storage: AppStorage, settings: AppSettings, actor: CurrentActor, base_model_id: int
) -> Response:
    """Remove a model that nothing was made with."""
    model = service.require_base_model(session, base_model_id)
    removal.remove_base_model(session, storage, settings.data_dir, actor, model)
    return RedirectResponse("/base-models", status_code=303)


@router.get("/{base_model_id}", response_model=None)
@needs(Permission.BASE_MODEL_READ)
def model_page(request: Request, session: Db, base_model_id: int) -> Response:
    """What preparing found out about one model."""
    model = service.require_base_model(session, base_model_id)
    job = require_job(session, model.job_id) if model.job_id else None
    return render(
        request,
        "base_models/model.html",
        {
            "model": model,
            "job": job,
            "facts": model.info,
            "stays": removal.why_it_stays(session, model, job),
        },
    )


def _parse_source(value: str) -> BaseModelSource:
    if value not in NAMED:
        raise Invalid(N_("Choose where the model comes from."), field="source")
    return BaseModelSource(value)
