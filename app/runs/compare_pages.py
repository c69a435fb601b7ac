"""The page that lays runs over each other: one chart, a table of what differs; the address names the runs."""

from typing import Annotated

from fastapi import Query, Request, Response

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.templating import render
from app.core.web import AppStorage, Db
from app.runs.comparing import data_changes, differences, reached, require_runs
from app.runs.service import run_job

router = Router(prefix="/runs", include_in_schema=False)
RunIds = Annotated[list[int], Query(alias="run", max_length=20)]


@router.get("/compare", response_model=None)
@needs(Permission.RUN_READ)
def compare_page(
    request: Request,
    session: Db,
    storage: AppStorage,
    run_ids: RunIds = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Two to four runs on one chart, with what differs between them and what came of it."""
    runs = require_runs(session, run_ids)
    jobs, came = [run_job(session, run) for run in runs], [reached(session, run) for run in runs]
    found, data = differences(session, runs), data_changes(session, storage, runs)
    context = {
        "columns": [
            {"run": run, "job": job, "reached": one, "gap": one.gap(came[0]), "data": changes}
            for run, job, one, changes in zip(runs, jobs, came, data, strict=True)
        ],
        "differences": found,
    }
    return render(request, "runs/compare.html", context)
