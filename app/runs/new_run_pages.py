"""The page that starts a run: one form, the mask check beside it, one button."""

import secrets
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import Depends, File, Form, Request, Response, UploadFile
from fastapi.responses import RedirectResponse
from sqlalchemy import Engine
from sqlmodel import Session
from starlette.datastructures import FormData

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.base_models.service import ready_base_models, require_base_model
from app.core.database import let_go, reading, transaction
from app.core.errors import Conflict, Invalid, StudioError
from app.core.i18n import get_locale, say
from app.core.routing import Router
from app.core.slow_work import apart
from app.core.storage import Storage
from app.core.templating import is_htmx, render
from app.core.web import AppEngine, AppStorage, Db
from app.mask_checks.check_texts import REPORT_LABELS
from app.mask_checks.service import CHECKS, examine, request_check, require_mask_check
from app.mask_settings.arguments import PREFIX
from app.mask_settings.fields import MASK_FIELDS
from app.recipes.advice import Task
from app.recipes.continuing import ADAPTER_SHAPE
from app.recipes.fields import FIELD_GROUPS, FIELDS, display
from app.recipes.foreign import LARGEST_BYTES, TITLES, read_sound
from app.recipes.method import Method
from app.recipes.own import AppRecipes
from app.recipes.recipes import RECIPES, RecipeBook, build_config, values_of
from app.runs import service
from app.runs.backends import Backends, TheseBackends
from app.runs.form_checks import Checks, checks_in, read_questions, require_seen
from app.runs.judging import AppJudging, Judging
from app.runs.new_run import DEFAULTS, NewRunForm, plan_form, require_sound, versions_with_names
from app.runs.offers import offered_backends, offered_devices
from app.runs.pace import expected_pace
from app.runs.preflight.facts import Ground
from app.runs.preflight.ground import Surroundings, TheseSurroundings
from app.runs.preflight.shown import shown_preflight
from app.runs.service import RunRequest
from app.runs.sweeps.planning import with_pace
from app.runs.sweeps.service import SweepRequest, start_sweep
from app.sentences import N_
from app.versions.service import require_version

router = Router(prefix="/runs", include_in_schema=False)
NO_CHECKS: Final = Checks()


async def posted_form(request: Request) -> FormData:
    """The submitted form, already read for the CSRF check."""
    return await request.form()


# In the address of a run that an earlier click had started.
ALREADY_STARTED: Final = "already"
Posted = Annotated[FormData, Depends(posted_form)]


def form_of(posted: FormData, book: RecipeBook) -> NewRunForm:
    """What was submitted, by somebody who may name these recipes."""
    typed = {name: value for name, value in posted.items() if isinstance(value, str)}
    return NewRunForm.posted(typed, posted.getlist("suites"), book, posted.getlist("accepted"))


def _context(
    session: Db,
    judging: Judging,
    surroundings: Surroundings,
    backends: Backends,
    form: NewRunForm,
    checks: Checks = NO_CHECKS,
) -> dict[str, Any]:
    """Everything the form's fragments read. The session only reads: it is let go on the way."""
    versions, models = versions_with_names(session), ready_base_models(session)
    by_id = {version.id: version for version, _name in versions}
    form.values["version"] = form.values["version"] or (str(versions[0][0].id) if versions else "")
    form.values["model"] = form.values["model"] or (str(models[0].id) if models else "")
    form.values["idempotency_key"] = form.values["idempotency_key"] or secrets.token_urlsafe(16)
    earlier = form.take_adapter(session)
    version, mixed = by_id.get(form.number("version")), by_id.get(form.number("mix_version"))
    model = next((model for model in models if model.id == form.number("model")), None)
    info = model.info if model else None
    model_id = form.number("model") or 0
    checks = checks.with_jobs(session)
    beside = checks.of_mixed(mixed if mixed is not version else None)
    plan, several = plan_form(form, version, checks.check, info, surroundings.device, backends, beside)
    if several is None:
        pace = expected_pace(session, model_id, plan.tokens.all if plan.tokens else None)
    else:
        several, pace = with_pace(session, several, model_id)
    plans = [(member.said, member.plan) for member in several.members] if several else []
    let_go(session)
    ground = surroundings.ground(version, beside.version if beside else None, checks.check, checks.beside)
    return {
        **shown_preflight(form, version, model, checks, plans or [("", plan)], ground, beside),
        "form": form,
        "versions": versions,
        "models": models,
        "version": version,
        "model": model,
        "methods": list(Method),
        "backends": offered_backends(backends, form.values["backend"]),
        "mask_fields": MASK_FIELDS,
        "arguments": form.offer_arguments(session),
        "groups": FIELD_GROUPS,
        "fields": FIELDS,
        "earlier": earlier,
        "locked": ADAPTER_SHAPE if earlier else (),
        "suites": [(suite.name, suite.title_in(get_locale()), suite.prompts) for suite in judging.suites()],
        "plan": plan,
        "tasks": list(Task),
        "devices": offered_devices(session, form.values["device"]),
        "several": several,
        "pace": pace,
        **checks.shown(),
        "check_error": form.errors.get("mask_check_id"),
        "check_labels": REPORT_LABELS,
        # What another tool's config said, where the form begins with one.
        "foreign": None,
        # Whether only the plan is rendered, beside a form that has the rest.
        "is_plan": False,
    }


def _whole(context: dict[str, Any]) -> dict[str, Any]:
    """What the whole form reads: the recipes, and every field as typed by recipe and method, for what an empty one stands for.

    Of own recipes only what they have otherwise than the standard.
    """
    form: NewRunForm = context["form"]
    values = {
        recipe.name: {method.value: values_of(recipe, method) for method in Method} for recipe in RECIPES
    }
    standard = values[DEFAULTS["recipe"]]
    for recipe in form.book.own:
        of_method = {method.value: values_of(recipe, method) for method in Method}
        values[recipe.name] = {
            method: {name: text for name, text in own.items() if text != standard[method][name]}
            for method, own in of_method.items()
        }
    chosen = values.get(form.values["recipe"])
    return {
        **context,
        "recipes": [(recipe, build_config(recipe)) for recipe in form.book.recipes],
        "recipe_values": values,
        "standard": DEFAULTS["recipe"],
        "shown_values": {**standard[form.method.value], **chosen[form.method.value]} if chosen else {},
    }


@router.get("/new", response_model=None)
@needs(Permission.RUN_START)
def new_page(
    request: Request,
    session: Db,
    judging: AppJudging,
    surroundings: TheseSurroundings,
    backends: TheseBackends,
    book: AppRecipes,
    like: int | None = None,
) -> Response:
    """The form, empty, or filled in like another run, or from a link's values."""
    form = NewRunForm.linked(request.query_params, book)
    if like is not None:
        run = service.require_run(session, like)
        old = NewRunForm.like(run, require_mask_check(session, run.mask_check_id), book)
        given = {name: value for name, value in form.values.items() if name in request.query_params}
        form = NewRunForm({**old.values, **given}, old.suites, {**old.arguments, **form.arguments}, book=book)
    if form.values["version"]:
        require_version(session, form.number("version") or 0)
    return render(request, "runs/new.html", _whole(_context(session, judging, surroundings, backends, form)))


@router.get("/new/config", response_model=None)
@needs(Permission.RUN_START)
def config_page(request: Request) -> Response:
    """Choose or paste a config of another tool."""
    return render(request, "runs/config.html", {"config": "", "error": None})


@router.post("/new/config", response_model=None)
@needs(Permission.RUN_START)
def begin_with_config(
    request: Request,
    engine: AppEngine,
    judging: AppJudging,
    surroundings: TheseSurroundings,
    backends: TheseBackends,
    book: AppRecipes,
    file: Annotated[UploadFile | None, File()] = None,
    config: Annotated[str, Form()] = "",
) -> Response:
    """The form, filled in as another tool's config says, with a note for each key that has no meaning here."""
    try:
        read = read_sound(config_text(file, config))
    except Invalid as error:
        context = {"config": config, "error": error.translated()}
        return render(request, "runs/config.html", context, status=error.status)
    form = NewRunForm.linked({name: display(value) for name, value in read.values.items()}, book)
    with reading(engine) as session:
        context = _context(session, judging, surroundings, backends, form)
    foreign = {
        "tool": TITLES[read.tool],
        "taken": len(read.values),
        "notes": [say(note) for note in read.notes],
    }
    return render(request, "runs/new.html", {**_whole(context), "foreign": foreign})


def config_text(file: UploadFile | None, pasted: str) -> str:
    """What was chosen, else what was pasted. Raises Invalid where that is nothing, or no text."""
    if file is not None and file.filename:
        try:
            # One byte more than is read of it tells a file that is too large.
            return file.file.read(LARGEST_BYTES + 1).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Invalid(N_("This file is no text in UTF-8."), field="config") from error
    if not pasted.strip():
        raise Invalid(N_("Choose a file first, or paste something."), field="config")
    return pasted


@router.post("/new/check", response_model=None)
@needs(Permission.MASK_CHECK_START)
@apart(CHECKS)
def check_masks(
    request: Request,
    engine: AppEngine,
    storage: AppStorage,
    actor: CurrentActor,
    judging: AppJudging,
    surroundings: TheseSurroundings,
    backends: TheseBackends,
    book: AppRecipes,
    posted: Posted,
) -> Response:
    """Ask for the mask check of what the form chooses; the same question finds the same check."""
    form = form_of(posted, book)
    checks = NO_CHECKS
    try:
        checks = _ask(engine, storage, actor, form)
    except StudioError as error:
        form.errors["mask_check_id"] = error.translated()
        form.errors[error.field or "mask_check_id"] = error.translated()
    with reading(engine) as session:
        context = _context(session, judging, surroundings, backends, form, checks)
    # Another model's template reads other arguments.
    context["swap_arguments"] = {one.name for one in context["arguments"]} != _sent_arguments(posted)
    if is_htmx(request):
        return render(request, "runs/_checked.html", context)
    return render(request, "runs/new.html", _whole(context))


def _sent_arguments(posted: FormData) -> set[str]:
    return {name.removeprefix(PREFIX) for name in posted if name.startswith(PREFIX)}


def _ask(engine: Engine, storage: Storage, actor: Actor, form: NewRunForm) -> Checks:
    with reading(engine) as session:
        questions = read_questions(session, form)
    examined = [examine(question, storage) for question in questions]
    with transaction(engine) as session:
        found = [request_check(session, actor, one) for one in examined]
    (check, job), (beside, beside_job) = (*found, (None, None))[:2]
    checks = Checks(check, job, beside, beside_job)
    form.values["mask_check_id"], form.values["mix_check_id"] = (str(one or "") for one in checks.ids)
    return checks


@router.get("/new/check/{mask_check_id}", response_model=None)
@needs(Permission.RUN_START)
def check_progress(
    request: Request,
    session: Db,
    judging: AppJudging,
    surroundings: TheseSurroundings,
    backends: TheseBackends,
    book: AppRecipes,
    mask_check_id: int,
    mix: int | None = None,
) -> Response:
    """How far the check is, and that of what is mixed in; asked again until both are done."""
    check = require_mask_check(session, mask_check_id)
    chosen = {"version": str(check.dataset_version_id), "model": str(check.base_model_id)}
    form = NewRunForm.linked(chosen, book)
    checks = Checks(check)
    if mix is not None:
        beside = require_mask_check(session, mix)
        form.values["mix_version"] = str(beside.dataset_version_id)
        checks = Checks(check, beside=beside)
    form.values["mask_check_id"], form.values["mix_check_id"] = (str(one or "") for one in checks.ids)
    context = _context(session, judging, surroundings, backends, form, checks)
    return render(request, "runs/_check.html", context)


@router.post("/new/plan", response_model=None)
@needs(Permission.RUN_START)
def plan(
    request: Request,
    engine: AppEngine,
    judging: AppJudging,
    surroundings: TheseSurroundings,
    backends: TheseBackends,
    book: AppRecipes,
    posted: Posted,
) -> Response:
    """What the form would train, in numbers, and what stands against it."""
    form = form_of(posted, book)
    with reading(engine) as session:
        context = _context(session, judging, surroundings, backends, form, checks_in(session, form))
    return render(request, "runs/_plan.html", {**context, "is_plan": True})


@router.post("", response_model=None)
@needs(Permission.RUN_START)
@apart(CHECKS)
def start(
    request: Request,
    engine: AppEngine,
    storage: AppStorage,
    actor: CurrentActor,
    judging: AppJudging,
    surroundings: TheseSurroundings,
    backends: TheseBackends,
    book: AppRecipes,
    posted: Posted,
) -> Response:
    """Start the run; whatever is wrong comes back beside its field with everything that was typed."""
    form = form_of(posted, book)
    seen = (form.number("mask_check_id"), form.number("mix_check_id"))
    suites = [suite.name for suite in judging.suites()]
    checks = NO_CHECKS
    try:
        checks = _ask(engine, storage, actor, form)
        require_seen(checks, seen)
        check = checks.check
        assert check is not None
        ground = surroundings.ground_of_checks(check.id or 0, checks.ids[1])
        with transaction(engine) as session:
            version, model = (
                require_version(session, check.dataset_version_id),
                require_base_model(session, check.base_model_id),
            )
            form.take_adapter(session)
            require_sound(form, version, model.info, surroundings.device, backends)
            run_request = form.request(check, checks.beside)
            address = _promise(session, actor, form, run_request, suites, backends, ground)
    except (Invalid, Conflict) as error:
        form.errors.setdefault(error.field or "start", error.translated())
        with reading(engine) as session:
            context = _context(session, judging, surroundings, backends, form, checks)
        return render(request, "runs/new.html", _whole(context), status=error.status)
    return RedirectResponse(address, status_code=303)


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
