"""Pages on which a run goes on: from a checkpoint, as a checkpoint that is kept, and once more; each with its pre-flight."""

import secrets
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.core.errors import Conflict, Invalid, StudioError
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.storage import Storage
from app.core.templating import render
from app.core.web import AppStorage, Db, Posted
from app.recipes.fields import FIELDS, displayed
from app.runs import service
from app.runs.again import request_again, run_again
from app.runs.backends import Backends, TheseBackends
from app.runs.lineage import children_of
from app.runs.models import Run
from app.runs.once import KeyTaken
from app.runs.onward import Onward, go_on, request_onward, require_begins
from app.runs.preflight.facts import Ground
from app.runs.preflight.gate import WARNINGS
from app.runs.preflight.ground import TheseSurroundings
from app.runs.preflight.shown import NOTHING_SHOWN, ShownPreflight, shown_items
from app.runs.service import RunRequest
from app.sentences import N_

router = Router(prefix="/runs/{run_id}", include_in_schema=False)
# Of what may change on the way, what a person would change.
OFFERED: Final = (
    "num_train_epochs",
    "max_steps",
    "learning_rate",
    "max_grad_norm",
    "early_stopping_patience",
)


@dataclass(frozen=True)
class Door:
    """What every one of these routes needs of the request."""

    session: Db
    storage: Storage
    actor: Actor
    backends: Backends
    run_id: int
    ground: Ground

    @property
    def run(self) -> Run:
        """The run that goes on."""
        return service.require_run(self.session, self.run_id)

    def list_of(self, request: RunRequest, ticked: list[str]) -> ShownPreflight:
        """The pre-flight of what is asked for."""
        run = self.run
        items = service.look_before(
            self.session,
            self.actor,
            request,
            suites=run.evaluate_with,
            backends=self.backends,
            ground=self.ground,
        )
        return shown_items(items, ticked, request.override_reason, run.preflight)


def door(
    session: Db,
    storage: AppStorage,
    actor: CurrentActor,
    backends: TheseBackends,
    surroundings: TheseSurroundings,
    run_id: int,
) -> Door:
    """Looks around first, as long as no connection is held."""
    ground = surroundings.ground_of_run(run_id)
    return Door(session, storage, actor, backends, run_id, ground)


ThisDoor = Annotated[Door, Depends(door)]


@router.get("/checkpoints/{step}/continue", response_model=None)
@needs(Permission.RUN_START)
def continue_page(request: Request, this: ThisDoor, step: int) -> Response:
    """What may be otherwise from there on, as it is now, and what stands against it. No form where nothing in it would help."""
    now = displayed(this.run.config)
    values = {name: now[name] for name in OFFERED} | {"idempotency_key": secrets.token_urlsafe(16)}
    errors: dict[str, str] = {}
    try:
        require_begins(this.session, this.storage, this.run, step)
    except StudioError as error:
        return _never(request, this.run, step, error)
    shown = _list_onward(this, Onward(step), [], errors)
    return _form(request, this.run, step, values, errors, shown)


@router.post("/checkpoints/{step}/continue", response_model=None)
@needs(Permission.RUN_START)
def continue_run(request: Request, this: ThisDoor, posted: Posted, step: int) -> Response:
    """Start it; what is wrong comes back beside its field, warnings with the list."""
    values = {name: str(posted.get(name, ""))[:1000] for name in (*OFFERED, "idempotency_key")}
    ticked = [str(name)[:80] for name in posted.getlist("accepted")][:50]
    onward = Onward(step, {name: values[name].strip() for name in OFFERED if values[name].strip()})
    try:
        require_begins(this.session, this.storage, this.run, step)
    except StudioError as error:
        return _never(request, this.run, step, error)
    try:
        made, _created = go_on(
            this.session,
            this.storage,
            this.actor,
            this.run,
            onward,
            backends=this.backends,
            ground=this.ground,
            accepted=ticked,
            key=values["idempotency_key"],
        )
    except (Invalid, Conflict) as error:
        errors = {_place(error): error.translated()}
        if isinstance(error, KeyTaken):
            values["idempotency_key"] = secrets.token_urlsafe(16)
            errors = {"start": error.on_a_form()}
        shown = _list_onward(this, onward, ticked, errors)
        return _form(request, this.run, step, values, errors, shown, status=error.status)
    return RedirectResponse(f"/runs/{made.id}", status_code=303)


def _never(request: Request, run: Run, step: int, error: StudioError) -> Response:
    """Why no run can begin there, whatever is typed."""
    context = {"run": run, "step": step, "why": error.translated()}
    return render(request, "runs/cannot_continue.html", context, status=error.status)


def _place(error: StudioError) -> str:
    """Where on the form an error is said."""
    return error.field if error.field in (*OFFERED, "accepted_warnings") else "start"


def _list_onward(this: Door, onward: Onward, ticked: list[str], errors: dict[str, str]) -> ShownPreflight:
    """The list, or why there is none among the errors."""
    try:
        request = request_onward(this.session, this.storage, this.run, onward, ticked)
        return this.list_of(request, ticked)
    except StudioError as error:
        errors.setdefault(_place(error), error.translated())
        return NOTHING_SHOWN


def _form(
    request: Request,
    run: Run,
    step: int,
    values: dict[str, str],
    errors: dict[str, str],
    shown: ShownPreflight,
    status: int = 200,
) -> Response:
    context = {
        "run": run,
        "step": step,
        "values": values,
        "errors": errors,
        "fields": [FIELDS[name] for name in OFFERED],
        **shown,
    }
    return render(request, "runs/continue.html", context, status=status)


@router.post("/checkpoints/{step}/keep", response_model=None)
@needs(Permission.RUN_START)
def keep_checkpoint(request: Request, this: ThisDoor, posted: Posted, step: int) -> Response:
    """Make a model of it; pressing twice at once leads to the same new run."""
    ticked = [str(name)[:80] for name in posted.getlist("accepted")][:50]
    onward, run = Onward(step, keeps=True), this.run
    key = f"keep-{run.id}-{step}-{len(children_of(this.session, run))}"
    try:
        made, _created = go_on(
            this.session,
            this.storage,
            this.actor,
            run,
            onward,
            backends=this.backends,
            ground=this.ground,
            accepted=ticked,
            key=key,
        )
    except Conflict as error:
        asked = request_onward(this.session, this.storage, run, onward, ticked)
        words = gettext(N_("Make a model of step %(step)s?")) % {"step": step}
        return _before(request, this, asked, ticked, error, f"checkpoints/{step}/keep", words)
    return RedirectResponse(f"/runs/{made.id}", status_code=303)


@router.post("/again", response_model=None)
@needs(Permission.RUN_START)
def start_again(request: Request, this: ThisDoor, posted: Posted) -> Response:
    """The run once more; pressing twice at once leads to the same new one."""
    ticked = [str(name)[:80] for name in posted.getlist("accepted")][:50]
    run = this.run
    made = len(service.runs_of_check(this.session, run.mask_check_id))
    try:
        again, _created = run_again(
            this.session,
            this.actor,
            run,
            backends=this.backends,
            ground=this.ground,
            accepted=ticked,
            key=f"again-{run.id}-{made}",
        )
    except Conflict as error:
        asked = request_again(this.session, run, ticked)
        return _before(request, this, asked, ticked, error, "again", gettext(N_("Make this run again?")))
    return RedirectResponse(f"/runs/{again.id}", status_code=303)


def _before(
    request: Request,
    this: Door,
    asked: RunRequest,
    ticked: list[str],
    error: Conflict,
    action: str,
    words: str,
) -> Response:
    """The list, with what is still to be accepted. Raises the error again where the list has nothing to do with it."""
    shown = this.list_of(asked, ticked)
    if error.code != WARNINGS and not shown["blocks"]:
        raise error
    context: dict[str, Any] = {
        "run": this.run,
        "action": f"/runs/{this.run_id}/{action}",
        "words": words,
        "refused": None if error.code == WARNINGS else error.translated(),
        **shown,
    }
    return render(request, "runs/before.html", context, status=error.status)
