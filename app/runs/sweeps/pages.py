"""Pages of sweeps: all of them, and the runs of one side by side. They are started by the form of a new run."""

from typing import Annotated, Any

from fastapi import Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.errors import Conflict, Invalid
from app.core.routing import Router
from app.core.templating import is_htmx, render
from app.core.web import PAGE_SIZE, AppStorage, Db
from app.jobs.models import JobState
from app.recipes.fields import FIELDS
from app.runs.judging import AppJudging, Judging
from app.runs.lineage import lineage_of
from app.runs.pages import clock
from app.runs.sweeps import service
from app.runs.sweeps.models import Sweep
from app.runs.sweeps.standing import read_standing
from app.runs.sweeps.table import SORTS, read_table

router = Router(prefix="/sweeps", include_in_schema=False)


@router.get("", response_model=None)
@needs(Permission.RUN_READ)
def list_page(
    request: Request,
    session: Db,
    judging: AppJudging,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> Response:
    """All sweeps, newest first."""
    found = service.list_sweeps(session, offset=offset, limit=PAGE_SIZE)
    context = {
        "sweeps": [(sweep, read_table(session, judging, sweep)) for sweep in found],
        "offset": offset,
        "page_size": PAGE_SIZE,
        "total": service.count_sweeps(session),
    }
    return render(request, "sweeps/list.html", context)


@router.get("/{sweep_id}", response_model=None)
@needs(Permission.RUN_READ)
def sweep_page(
    request: Request,
    session: Db,
    judging: AppJudging,
    sweep_id: int,
    sort: Annotated[str, Query(max_length=60)] = "run",
    down: bool = False,
) -> Response:
    """The runs side by side, their curves on one chart; the table alone for htmx."""
    sweep = service.require_sweep(session, sweep_id)
    context = _context(session, judging, sweep, sort, down)
    return render(request, "sweeps/_table.html" if is_htmx(request) else "sweeps/page.html", context)


@router.post("/{sweep_id}/name", response_model=None)
@needs(Permission.RUN_START)
def rename(
    request: Request,
    session: Db,
    actor: CurrentActor,
    judging: AppJudging,
    sweep_id: int,
    name: Annotated[str, Form()] = "",
) -> Response:
    """Another name."""
    sweep = service.require_sweep(session, sweep_id)
    try:
        service.rename_sweep(session, actor, sweep, name)
    except Invalid as error:
        context = {**_context(session, judging, sweep, "run", False), "name_error": error.translated()}
        return render(request, "sweeps/page.html", context, status=error.status)
    return RedirectResponse(f"/sweeps/{sweep_id}", status_code=303)


@router.post("/{sweep_id}/stop", response_model=None)
@needs(Permission.RUN_STOP)
def stop(
    request: Request,
    session: Db,
    storage: AppStorage,
    actor: CurrentActor,
    judging: AppJudging,
    sweep_id: int,
    how: Annotated[service.HowToStop | None, Form()] = None,
) -> Response:
    """Cancel what waits, or end all of it."""
    sweep = service.require_sweep(session, sweep_id)
    try:
        service.stop_sweep(session, storage, actor, sweep, how)
    except Conflict as error:
        context = {**_context(session, judging, sweep, "run", False), "stop_error": error.translated()}
        return render(request, "sweeps/page.html", context, status=error.status)
    return RedirectResponse(f"/sweeps/{sweep_id}", status_code=303)


def _context(session: Db, judging: Judging, sweep: Sweep, sort: str, down: bool) -> dict[str, Any]:
    table = read_table(session, judging, sweep)
    by = sort if sort in (*SORTS, *sweep.varied.fields) else "run"
    return {
        "sweep": sweep,
        "table": table,
        "standing": read_standing(table.rows),
        "rows": table.sorted_by(by, descending=down),
        "sort": by,
        "down": down,
        "fields": FIELDS,
        "clock": clock,
        "states": JobState,
        "name_error": None,
        "stop_error": None,
        **lineage_of(session, table.rows[0].run),
    }
