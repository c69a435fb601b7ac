"""A model brought to the preview page: named by hub id or folder, its tokenizer fetched, chosen as soon as it is here."""

import json
import re
from dataclasses import dataclass
from itertools import chain, count
from typing import Annotated, Final

from fastapi import Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlmodel import Session

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.base_models.models import BaseModelSource, ModelEntry
from app.base_models.service import (
    BUNDLED_NAME,
    list_base_models,
    promise_tokenizer,
    register_base_model,
    require_base_model,
)
from app.core.errors import Conflict, Invalid
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.templating import is_htmx, render
from app.core.web import AppSettings, Db
from app.jobs.models import Job
from app.previews.answer import bring_context, option_name
from app.sentences import N_

router = Router(prefix="/mask-models", include_in_schema=False)
_FOLDER: Final = re.compile(r"[/~.\\]|[A-Za-z]:\\")
# Pages of previews, the only ones one is sent back to.
_BACK: Final = re.compile(
    r"/(conversations|dataset-versions|mask-checks)/\d+/[\x21-\x5b\x5d-\x7e]*", re.ASCII
)
_FIELD: Final = N_("Hub id or folder")
_LABELS: Final = {"reference": _FIELD}


@dataclass
class Brought:
    """Where bringing a model stands. `model` is None where none could be brought, and `error` says why."""

    reference: str = ""
    error: str = ""
    model: ModelEntry | None = None
    job: Job | None = None
    status: int = 200

    @property
    def waits(self) -> bool:
        """Whether the tokenizer is still on its way."""
        return self.model is not None and self.model.tokenizer_folder is None


@router.post("", response_model=None)
@needs(Permission.BASE_MODEL_ADD)
def bring(
    request: Request,
    session: Db,
    settings: AppSettings,
    actor: CurrentActor,
    reference: Annotated[str, Form(max_length=600, title=_FIELD)] = "",
    back: Annotated[str, Form(max_length=8000)] = "",
) -> Response:
    """Register the model and fetch its tokenizer; a mistake comes back beside the field."""
    source, reference = _source_of(reference.strip()), reference.strip()
    name = _name(session, reference)
    try:
        model = register_base_model(session, settings, actor, source=source, reference=reference, name=name)
    except (Invalid, Conflict) as error:
        if not is_htmx(request):
            raise
        return _answer(request, session, Brought(reference, error.on_form(_LABELS), status=error.status))
    promise_tokenizer(session, model, actor)
    if not is_htmx(request):
        return _back(back if _BACK.fullmatch(back) else "/datasets", model)
    return _answer(request, session, _standing(session, model))


@router.get("/{base_model_id}", response_model=None)
@needs(Permission.BASE_MODEL_ADD)
def brought_so_far(request: Request, session: Db, base_model_id: int, seen: str = "") -> Response:
    """Asked again and again while the tokenizer is on its way; no content while all is as it was `seen`."""
    if not is_htmx(request):
        return RedirectResponse("/base-models", status_code=303)
    brought = _standing(session, require_base_model(session, base_model_id))
    if brought.job and brought.waits and brought.job.status == seen:
        return Response(status_code=204)
    return _answer(request, session, brought)


def _source_of(reference: str) -> BaseModelSource:
    if reference == BUNDLED_NAME:
        return BaseModelSource.BUNDLED
    return BaseModelSource.LOCAL if _FOLDER.match(reference) else BaseModelSource.HUB


def _name(session: Session, reference: str) -> str:
    """The last part, as everywhere; where another model has that name already, more of it or a number."""
    taken = {model.name for model, _job in list_base_models(session)}
    last = reference.rstrip("/").rsplit("/", 1)[-1][:110]
    names = chain([last, reference[-110:]], (f"{last} ({number})" for number in count(2)))
    return next(name for name in names if name not in taken)


def _standing(session: Session, model: ModelEntry) -> Brought:
    job = session.get(Job, model.job_id) if model.job_id else None
    if model.tokenizer_folder is not None:
        return Brought(model=model, job=job)
    if job is None or job.is_final:
        return Brought(model.reference, (job.error_text if job else "") or gettext("It was cancelled."))
    return Brought(model=model, job=job)


def _answer(request: Request, session: Session, brought: Brought) -> Response:
    context = {**bring_context(session), "brought": brought}
    response = render(request, "previews/_bring.html", context, status=brought.status)
    model = brought.model
    if model is not None and not brought.waits:
        chosen = {"id": model.id, "name": option_name(model)}
        response.headers["HX-Trigger"] = json.dumps({"model:ready": chosen})
    return response


def _back(back: str, model: ModelEntry) -> Response:
    """Without scripts: the page under the model; while it is on its way, the page says so."""
    kept = re.sub(r"([?&])base_model=\d*&?", r"\1", back).rstrip("?&")
    return RedirectResponse(f"{kept}{'&' if '?' in kept else '?'}base_model={model.id}", status_code=303)
