"""A run's page: the trackers that it is told to."""

from typing import Any

from fastapi import Request, Response

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.settings import Settings
from app.core.templating import render
from app.core.web import AppSettings, Db
from app.runs import service
from app.runs.models import Run
from app.runs.tracking import UNFINISHED, destinations
from app.runs.tracking_schemas import TrackedOut

router = Router(prefix="/runs/{run_id}/trackers", include_in_schema=False)


def trackers_context(session: Db, settings: Settings, run: Run) -> dict[str, Any]:
    """What the section reads."""
    found = TrackedOut.of_run(session, run.id or 0, settings)
    unfinished = any(one.state in UNFINISHED for one in found)
    # Of a run that has not begun nothing was promised yet.
    expected = bool(destinations(settings)) and not service.run_job(session, run).is_final
    return {"run": run, "trackers": found, "is_telling": unfinished or expected}


@router.get("", response_model=None)
@needs(Permission.RUN_READ)
def trackers_section(request: Request, session: Db, settings: AppSettings, run_id: int) -> Response:
    """Each tracker with its address, and how far it was told."""
    run = service.require_run(session, run_id)
    return render(request, "runs/_trackers.html", trackers_context(session, settings, run))
