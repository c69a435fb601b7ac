"""The page that lays runs over each other: one chart, a table of what differs; the address names the runs."""

from typing import Annotated

from fastapi import Query, Request, Response

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.templating import render
from app.core.web import Db
from app.runs.comparing import differences, reached, require_runs
from app.runs.service import run_job

router = Router(prefix="/runs", include_in_schema=False)
RunIds = Annotated[list[int], Query(alias="run", max_length=20)]


@router.get("/compare", response_model=None)
@needs(Permission.RUN_READ)
def compare_page(request: Request, session: Db, run_ids: RunIds = []) -> Response:  # noqa: B006 - FastAPI copies it
    """Two to four runs on one chart, with the difference of their configs."""
    runs = require_runs(session, run_ids)
    context = {
        "columns": [
            {"run": run, "job": run_job(session, run), "reached": reached(session, run)} for run in runs
        ],
        "differences": differences(session, runs),
    }
    return render(request, "runs/compare.html", context)
