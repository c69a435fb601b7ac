"""Pages of a run's checkpoints: the list, going on from one, keeping one as a model."""

import secrets
from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.database import let_go
from app.core.errors import Conflict, Invalid
from app.core.routing import Router
from app.core.storage import Storage
from app.core.templating import render
from app.core.web import AppStorage, Db, Posted
from app.recipes.fields import FIELDS, displayed
from app.runs import onward, service
from app.runs.backends import TheseBackends
from app.runs.checkpoints import lines_of, remove_checkpoints, told_checkpoints
from app.runs.lineage import children_of
from app.runs.models import Run

router = Router(prefix="/runs/{run_id}/checkpoints", include_in_schema=False)
# Of what may change on the way, what a person would change.
OFFERED: Final = (
    "num_train_epochs",
    "max_steps",
    "learning_rate",
    "max_grad_norm",
    "early_stopping_patience",
)


def checkpoints_context(session: Db, storage: Storage, run: Run) -> dict[str, Any]:
    """What the list reads. The connection is let go, for the disk is looked at."""
    job, told = service.run_job(session, run), told_checkpoints(session, run)
    let_go(session)
    lines = lines_of(storage, run, job, told)
    return {
        "run": run,
        "job": job,
        "checkpoints": lines,
        "checkpoint_bytes": sum(line.size_bytes or 0 for line in lines),
    }


@router.get("", response_model=None)
@needs(Permission.RUN_READ)
def checkpoint_list(request: Request, session: Db, storage: AppStorage, run_id: int) -> Response:
    """Every checkpoint, and what can be done with it."""
    run = service.require_run(session, run_id)
    return render(request, "runs/_checkpoints.html", checkpoints_context(session, storage, run))


@router.get("/{step}/continue", response_model=None)
@needs(Permission.RUN_START)
def continue_page(request: Request, session: Db, run_id: int, step: int) -> Response:
    """What may be otherwise from there on, as it is now."""
    run = service.require_run(session, run_id)
    now = displayed(run.config)
    values = {name: now[name] for name in OFFERED}
    return _form(request, run, step, {**values, "idempotency_key": secrets.token_urlsafe(16)}, {})


@router.post("/{step}/continue", response_model=None)
@needs(Permission.RUN_START)
def continue_run(
    request: Request,
    session: Db,
    storage: AppStorage,
    actor: CurrentActor,
    backends: TheseBackends,
    posted: Posted,
    run_id: int,
    step: int,
) -> Response:
    """Start it; what is wrong comes back beside its field."""
    run = service.require_run(session, run_id)
    values = {name: str(posted.get(name, ""))[:1000] for name in (*OFFERED, "idempotency_key")}
    changes = {name: values[name].strip() for name in OFFERED if values[name].strip()}
    try:
        made, _created = onward.go_on(
            session, storage, actor, run, step, changes, backends=backends, key=values["idempotency_key"]
        )
    except (Invalid, Conflict) as error:
        errors = {error.field if error.field and error.field in OFFERED else "start": error.translated()}
        return _form(request, run, step, values, errors, status=error.status)
    return RedirectResponse(f"/runs/{made.id}", status_code=303)


def _form(
    request: Request,
    run: Run,
    step: int,
    values: dict[str, str],
    errors: dict[str, str],
    status: int = 200,
) -> Response:
    context = {
        "run": run,
        "step": step,
        "values": values,
        "errors": errors,
        "fields": [FIELDS[name] for name in OFFERED],
    }
    return render(request, "runs/continue.html", context, status=status)


@router.post("/{step}/keep", response_model=None)
@needs(Permission.RUN_START)
def keep_checkpoint(
    session: Db, storage: AppStorage, actor: CurrentActor, backends: TheseBackends, run_id: int, step: int
) -> Response:
    """Make a model of it; pressing twice at once leads to the same new run."""
    run = service.require_run(session, run_id)
    key = f"keep-{run_id}-{step}-{len(children_of(session, run))}"
    made, _created = onward.keep(session, storage, actor, run, step, backends=backends, key=key)
    return RedirectResponse(f"/runs/{made.id}", status_code=303)


@router.post("/delete", response_model=None)
@needs(Permission.RUN_START)
def delete_checkpoints(session: Db, storage: AppStorage, actor: CurrentActor, run_id: int) -> Response:
    """Free the disk of them."""
    remove_checkpoints(session, storage, actor, service.require_run(session, run_id))
    return RedirectResponse(f"/runs/{run_id}#checkpoints", status_code=303)
