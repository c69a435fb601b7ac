"""The page that starts a run: one form, the mask check beside it, one button."""

from dataclasses import replace
from typing import Final

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from sqlmodel import Session

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.base_models.service import require_base_model
from app.core.database import reading, transaction
from app.core.errors import Conflict, Invalid
from app.core.routing import Router
from app.core.slow_work import apart
from app.core.templating import render
from app.core.web import AppEngine, AppStorage, Db, Posted
from app.mask_checks.service import CHECKS, require_mask_check
from app.runs import service
from app.runs.backends import Backends
from app.runs.form_check_pages import ask_checks
from app.runs.form_checks import checks_in, require_seen
from app.runs.new_run import NewRunForm, require_sound
from app.runs.new_run_view import NO_CHECKS, View, form_of
from app.runs.once import KeyTaken
from app.runs.preflight.facts import Ground
from app.runs.service import RunRequest
from app.runs.sweeps.service import SweepRequest, start_sweep
from app.versions.service import require_version

router = Router(prefix="/runs", include_in_schema=False)
# In the address of a run that an earlier click had started.
ALREADY_STARTED: Final = "already"


@router.get("/new", response_model=None)
@needs(Permission.RUN_START)
def new_page(
    request: Request,
    session: Db,
    view: View,
    like: int | None = None,
) -> Response:
    """The form, empty, or filled in like another run, or from a link's values."""
    form = NewRunForm.linked(request.query_params, view.book)
    if like is not None:
        run = service.require_run(session, like)
        old = NewRunForm.like(run, require_mask_check(session, run.mask_check_id), view.book)
        given = {name: value for name, value in form.values.items() if name in request.query_params}
        form = NewRunForm(
            {**old.values, **given}, old.suites, {**old.arguments, **form.arguments}, book=view.book
        )
    if form.values["version"]:
        require_version(session, form.number("version") or 0)
    return render(request, "runs/new.html", view.whole(session, form))


@router.post("/new/plan", response_model=None)
@needs(Permission.RUN_START)
def plan(
    request: Request,
    engine: AppEngine,
    view: View,
    posted: Posted,
) -> Response:
    """What the form would train, in numbers, and what stands against it."""
    form = form_of(posted, view.book)
    with reading(engine) as session:
        context = view.part(session, form, checks_in(session, form))
    return render(request, "runs/_plan.html", {**context, "is_plan": True})


@router.post("", response_model=None)
@needs(Permission.RUN_START)
@apart(CHECKS)
def start(
    request: Request,
    engine: AppEngine,
    storage: AppStorage,
    actor: CurrentActor,
    view: View,
    posted: Posted,
) -> Response:
    """Start the run; whatever is wrong comes back beside its field with everything that was typed."""
    form = form_of(posted, view.book)
    seen = (form.number("mask_check_id"), form.number("mix_check_id"))
    suites = [suite.name for suite in view.judging.suites()]
    checks = NO_CHECKS
    try:
        checks = ask_checks(engine, storage, actor, form)
        require_seen(checks, seen)
        check = checks.check
        assert check is not None
        ground = view.surroundings.ground_of_checks(check.id or 0, checks.ids[1])
        with transaction(engine) as session:
            version, model = (
                require_version(session, check.dataset_version_id),
                require_base_model(session, check.base_model_id),
            )
            form.take_adapter(session)
            place, backends = view.placed(session, form.values["device"])
            require_sound(form, version, model.info, place.device if place else None, backends)
            run_request = form.request(check, checks.beside)
            address = _promise(session, actor, form, run_request, suites, view.backends, ground)
    except (Invalid, Conflict) as error:
        form.errors.setdefault(error.field or "start", _said(error, form))
        with reading(engine) as session:
            context = view.whole(session, form, checks)
        return render(request, "runs/new.html", context, status=error.status)
    return RedirectResponse(address, status_code=303)


def _said(error: Invalid | Conflict, form: NewRunForm) -> str:
    """The refusal, for who reads the form. One that has started something goes on under a key of its own."""
    if not isinstance(error, KeyTaken):
        return error.translated()
    form.values["idempotency_key"] = ""
    return error.on_a_form()


def _promise(
    session: Session,
    actor: Actor,
    form: NewRunForm,
    request: RunRequest,
    suites: list[str],
    backends: Backends,
    ground: Ground,
) -> str:
    """Start the run, or the group of runs; gives the address of its page."""
    axes = form.axes()[1]
    if not axes:
        run, created = service.start_run(
            session, actor, request, suites=suites, backends=backends, ground=ground
        )
        already = "" if created else f"?{ALREADY_STARTED}=true"
        return f"/runs/{run.id}{already}"
    group = SweepRequest(replace(request, name=""), tuple(axes), request.name)
    sweep, _created = start_sweep(session, actor, group, suites=suites, backends=backends, ground=ground)
    return f"/sweeps/{sweep.id}"
