"""The checkpoints on a run's page: the list, and freeing the disk of them."""

from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.database import let_go
from app.core.routing import Router
from app.core.storage import Storage
from app.core.templating import render
from app.core.web import AppStorage, Db
from app.runs import service
from app.runs.checkpoints import best_not_kept, lines_of, remove_checkpoints, told_checkpoints
from app.runs.losses import read_losses
from app.runs.models import Run

router = Router(prefix="/runs/{run_id}/checkpoints", include_in_schema=False)


def checkpoints_context(session: Db, storage: Storage, run: Run) -> dict[str, Any]:
    """What the list reads. The connection is let go, for the disk is looked at."""
    job, told = service.run_job(session, run), told_checkpoints(session, run)
    best = read_losses(session, job).best
    let_go(session)
    lines = lines_of(storage, run, job, told)
    return {
        "run": run,
        "job": job,
        "checkpoints": lines,
        "best_not_kept": best_not_kept(best, lines),
        "checkpoint_bytes": sum(line.size_bytes or 0 for line in lines),
    }


@router.get("", response_model=None)
@needs(Permission.RUN_READ)
def checkpoint_list(request: Request, session: Db, storage: AppStorage, run_id: int) -> Response:
    """Every checkpoint, and what can be done with it."""
    run = service.require_run(session, run_id)
    return render(request, "runs/_checkpoints.html", checkpoints_context(session, storage, run))


@router.post("/delete", response_model=None)
@needs(Permission.RUN_START)
def delete_checkpoints(session: Db, storage: AppStorage, actor: CurrentActor, run_id: int) -> Response:
    """Free the disk of them."""
    remove_checkpoints(session, storage, actor, service.require_run(session, run_id))
    return RedirectResponse(f"/runs/{run_id}#checkpoints", status_code=303)
