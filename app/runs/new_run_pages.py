"""The page that starts a run: one form, the mask check beside it, one button."""

import secrets
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import Depends, File, Form, Request, Response, UploadFile
from fastapi.responses import RedirectResponse
from sqlalchemy import Engine
from starlette.datastructures import FormData

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.base_models.service import ready_base_models, require_base_model
from app.core.database import reading, transaction
from app.core.errors import Conflict, Invalid, StudioError
from app.core.i18n import get_locale, gettext, say
from app.core.routing import Router
from app.core.slow_work import apart
from app.core.storage import Storage
from app.core.templating import is_htmx, render
from app.core.web import AppEngine, AppStorage, Db
from app.interop.handing import TOOL_NAMES, TOOLS
from app.jobs.devices import ANY, CPU, CUDA
from app.jobs.service import require_job
from app.jobs.workers import devices_of_workers
from app.mask_checks.check_texts import REPORT_LABELS
from app.mask_checks.models import MaskCheck
from app.mask_checks.service import CHECKS, examine, request_check, require_mask_check
from app.mask_settings.arguments import PREFIX
from app.mask_settings.fields import MASK_FIELDS
from app.recipes.advice import Task
from app.recipes.backend import STUDIO
from app.recipes.continuing import ADAPTER_SHAPE
from app.recipes.fields import FIELD_GROUPS, FIELDS, display
from app.recipes.foreign import LARGEST_BYTES, TITLES, read_sound
from app.recipes.method import Method
from app.recipes.own import AppRecipes
from app.recipes.recipes import RECIPES, RecipeBook, build_config, values_of
from app.runs import service
from app.runs.backends import Backends, TheseBackends
from app.runs.device import Device, ThisDevice
from app.runs.judging import AppJudging, Judging
from app.runs.mixing import Beside
from app.runs.new_run import (
    DEFAULTS,
    Checks,
    NewRunForm,
    read_questions,
    require_seen,
    require_sound,
    versions_with_names,
)
from app.runs.pace import expected_pace
from app.runs.planning import make_plan
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
    return NewRunForm.posted(typed, posted.getlist("suites"), book)


def _context(
    session: Db,
    judging: Judging,
    device: Device,
    backends: Backends,
    form: NewRunForm,
    checks: Checks = NO_CHECKS,
) -> dict[str, Any]:
    """Everything the form's fragments read."""
    versions, models = versions_with_names(session), ready_base_models(session)
    by_id = {version.id: version for version, _name in versions}
    if not form.values["version"] and versions:
        form.values["version"] = str(versions[0][0].id)
    if not form.values["model"] and models:
        form.values["model"] = str(models[0].id)
    if not form.values["idempotency_key"]:
        form.values["idempotency_key"] = secrets.token_urlsafe(16)
    earlier = form.take_adapter(session)
    version, mixed = by_id.get(form.number("version")), by_id.get(form.number("mix_version"))
    beside = Beside(mixed, checks.beside) if mixed and mixed is not version else None
    model = next((model for model in models if model.id == form.number("model")), None)
    facts = model.info if model else None
    plan = make_plan(form.choice(), version, checks.check, facts, device, backends, beside)
    return {
        "form": form,
        "versions": versions,
        "models": models,
        "version": version,
        "model": model,
        "methods": list(Method),
        "backends": _offered(backends, form.values["backend"]),
        "mask_fields": MASK_FIELDS,
        "arguments": form.offer_arguments(session),
        "groups": FIELD_GROUPS,
        "fields": FIELDS,
        "earlier": earlier,
        "locked": ADAPTER_SHAPE if earlier else (),
        "suites": [(suite.name, suite.title_in(get_locale()), suite.prompts) for suite in judging.suites()],
        "plan": plan,
        "tasks": list(Task),
        "devices": _offered_devices(session, form.values["device"]),
        "pace": expected_pace(session, form.number("model") or 0, plan.tokens.all if plan.tokens else None),
        "check": checks.check,
        "check_job": checks.job,
        "mix_check": checks.beside,
        "mix_check_job": checks.beside_job,
        "check_error": form.errors.get("mask_check_id"),
        "check_labels": REPORT_LABELS,
        # What another tool's config said, where the form begins with one.
        "foreign": None,
        # Whether only the plan is rendered, beside a form that has the rest.
        "is_plan": False,
    }


def _offered_devices(session: Db, chosen: str) -> list[tuple[str, str]]:
    """Where the run can be asked to be trained, with words; nothing to choose where workers have one device."""
    there = devices_of_workers(session)
    if len(there) < 2 and chosen == ANY:
        return []
    names = [(one.name, f"{one.name} ({one.title})") for one in there]
    if sum(one.name != CPU for one in there) > 1:
        names.insert(0, (CUDA, gettext(N_("Any GPU"))))
    if chosen not in (ANY, *(name for name, _words in names)):
        names.append((chosen, chosen))
    return [(ANY, gettext(N_("Any device"))), *names]


def _offered(backends: Backends, chosen: str) -> list[tuple[str, str]]:
    """Names and words of the programs that are found here, and of the one that a link or a run before asks for."""
    found = {tool: f"{TOOL_NAMES[tool]} {one.version}" for tool, one in backends.environments.items()}
    asked = {tool: TOOL_NAMES[tool] for tool in TOOLS if tool == chosen}
    return [(STUDIO, "SFT Studio"), *{**asked, **found}.items()]


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
    device: ThisDevice,
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
    return render(request, "runs/new.html", _whole(_context(session, judging, device, backends, form)))


@router.get("/new/config", response_model=None)
@needs(Permission.RUN_START)
def config_page(request: Request) -> Response:
    """Choose or paste a config of another tool."""
    return render(request, "runs/config.html", {"config": "", "error": None})


@router.post("/new/config", response_model=None)
@needs(Permission.RUN_START)
def begin_with_config(
    request: Request,
    session: Db,
    judging: AppJudging,
    device: ThisDevice,
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
    context = _context(session, judging, device, backends, form)
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
    device: ThisDevice,
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
        context = _context(session, judging, device, backends, form, checks)
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
    device: ThisDevice,
    backends: TheseBackends,
    book: AppRecipes,
    mask_check_id: int,
    mix: int | None = None,
) -> Response:
    """How far the check is, and that of what is mixed in; asked again until both are done."""
    check = require_mask_check(session, mask_check_id)
    chosen = {"version": str(check.dataset_version_id), "model": str(check.base_model_id)}
    form = NewRunForm.linked(chosen, book)
    checks = Checks(check, require_job(session, check.job_id))
    if mix is not None:
        beside = require_mask_check(session, mix)
        form.values["mix_version"] = str(beside.dataset_version_id)
        checks = replace(checks, beside=beside, beside_job=require_job(session, beside.job_id))
    form.values["mask_check_id"], form.values["mix_check_id"] = (str(one or "") for one in checks.ids)
    return render(request, "runs/_check.html", _context(session, judging, device, backends, form, checks))


@router.post("/new/plan", response_model=None)
@needs(Permission.RUN_START)
def plan(
    request: Request,
    engine: AppEngine,
    judging: AppJudging,
    device: ThisDevice,
    backends: TheseBackends,
    book: AppRecipes,
    posted: Posted,
) -> Response:
    """What the form would train, in numbers."""
    form = form_of(posted, book)
    with reading(engine) as session:
        found = [form.number(name) for name in ("mask_check_id", "mix_check_id")]
        check, beside = (session.get(MaskCheck, one) if one else None for one in found)
        context = _context(session, judging, device, backends, form, Checks(check, None, beside))
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
    device: ThisDevice,
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
        with transaction(engine) as session:
            version, model = (
                require_version(session, check.dataset_version_id),
                require_base_model(session, check.base_model_id),
            )
            form.take_adapter(session)
            require_sound(form, version, model.info, device, backends)
            run, created = service.start_run(
                session, actor, form.request(check, checks.beside), suites=suites, backends=backends
            )
    except (Invalid, Conflict) as error:
        form.errors.setdefault(error.field or "start", error.translated())
        with reading(engine) as session:
            context = _context(session, judging, device, backends, form, checks)
        return render(request, "runs/new.html", _whole(context), status=error.status)
    already = "" if created else f"?{ALREADY_STARTED}=true"
    return RedirectResponse(f"/runs/{run.id}{already}", status_code=303)
