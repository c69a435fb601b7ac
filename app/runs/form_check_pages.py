"""The mask checks in the form of a new run: asked for, and shown while they are made."""

from fastapi import Request, Response
from sqlalchemy import Engine
from starlette.datastructures import FormData

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.core.database import reading, transaction
from app.core.errors import StudioError
from app.core.routing import Router
from app.core.slow_work import apart
from app.core.storage import Storage
from app.core.templating import is_htmx, render
from app.core.web import AppEngine, AppStorage, Db, Posted
from app.mask_checks.service import CHECKS, examine, request_check, require_mask_check
from app.mask_settings.arguments import PREFIX
from app.runs.form_checks import Checks, read_questions
from app.runs.new_run import NewRunForm
from app.runs.new_run_view import NO_CHECKS, View, form_of

router = Router(prefix="/runs/new/check", include_in_schema=False)


@router.post("", response_model=None)
@needs(Permission.MASK_CHECK_START)
@apart(CHECKS)
def check_masks(
    request: Request,
    engine: AppEngine,
    storage: AppStorage,
    actor: CurrentActor,
    view: View,
    posted: Posted,
) -> Response:
    """Ask for the mask check of what the form chooses; the same question finds the same check."""
    form = form_of(posted, view.book)
    checks = NO_CHECKS
    try:
        checks = ask_checks(engine, storage, actor, form)
    except StudioError as error:
        form.errors["mask_check_id"] = error.translated()
        form.errors[error.field or "mask_check_id"] = error.translated()
    with reading(engine) as session:
        context = (view.part if is_htmx(request) else view.whole)(session, form, checks)
    if not is_htmx(request):
        return render(request, "runs/new.html", context)
    # Another model's template reads other arguments.
    context["swap_arguments"] = {one.name for one in context["arguments"]} != _sent_arguments(posted)
    return render(request, "runs/_checked.html", context)


def _sent_arguments(posted: FormData) -> set[str]:
    return {name.removeprefix(PREFIX) for name in posted if name.startswith(PREFIX)}


@router.get("/{mask_check_id}", response_model=None)
@needs(Permission.RUN_START)
def check_progress(
    request: Request,
    session: Db,
    view: View,
    mask_check_id: int,
    mix: int | None = None,
) -> Response:
    """How far the check is, and that of what is mixed in; asked again until both are done."""
    check = require_mask_check(session, mask_check_id)
    chosen = {"version": str(check.dataset_version_id), "model": str(check.base_model_id)}
    form = NewRunForm.linked(chosen, view.book)
    checks = Checks(check)
    if mix is not None:
        beside = require_mask_check(session, mix)
        form.values["mix_version"] = str(beside.dataset_version_id)
        checks = Checks(check, beside=beside)
    form.values["mask_check_id"], form.values["mix_check_id"] = (str(one or "") for one in checks.ids)
    context = view.part(session, form, checks)
    return render(request, "runs/_check.html", context)


def ask_checks(engine: Engine, storage: Storage, actor: Actor, form: NewRunForm) -> Checks:
    """The mask checks of what the form chooses, which carries them from now on: found, or asked for.

    Raises Invalid naming the field that is not chosen, and what asking for a check raises.
    """
    with reading(engine) as session:
        questions = read_questions(session, form)
    examined = [examine(question, storage) for question in questions]
    with transaction(engine) as session:
        found = [request_check(session, actor, one) for one in examined]
    (check, job), (beside, beside_job) = (*found, (None, None))[:2]
    checks = Checks(check, job, beside, beside_job)
    form.values["mask_check_id"], form.values["mix_check_id"] = (str(one or "") for one in checks.ids)
    return checks
