"""The page of a gate over a sweep: limits in, what came of each run out; the address keeps both."""

from typing import Annotated

from fastapi import Query, Request, Response

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.core.errors import StudioError
from app.core.routing import Router
from app.core.templating import render
from app.core.web import Db
from app.gates.limits import read_request
from app.gates.metrics import read_metrics
from app.gates.pages import Lines, command_for, runs_with_weights
from app.gates.schemas import Need
from app.gates.sweep_reports import told_of
from app.gates.sweeps import judge_sweep
from app.runs.sweeps.service import require_sweep, runs_of_sweep

router = Router(prefix="/sweeps", include_in_schema=False)


@router.get("/{sweep_id}/gate", response_model=None)
@needs(Permission.EVALUATION_READ)
def sweep_gate_page(
    request: Request,
    session: Db,
    sweep_id: int,
    minimum: Annotated[Lines, Query(alias="min")] = "",
    maximum: Annotated[Lines, Query(alias="max")] = "",
    against: Annotated[str, Query(max_length=20)] = "",
    tolerance: Lines = "",
    need: Need = "any",
) -> Response:
    """Limits on the numbers of its runs, one a line, and whether one of them has to keep them or all."""
    sweep = require_sweep(session, sweep_id)
    values = {"min": minimum, "max": maximum, "against": against, "tolerance": tolerance}
    found, error, field, command = None, None, None, None
    if any(text.strip() for text in values.values()):
        try:
            asked = read_request([minimum], [maximum], against, [tolerance])
            command = command_for(["--sweep", str(sweep_id), "--need", need], asked)
            found = judge_sweep(session, sweep, asked, need)
        except StudioError as refusal:
            error, field = refusal.translated(), refusal.field
    metrics = {
        name: metric
        for run, _job in runs_of_sweep(session, sweep)
        for name, metric in read_metrics(session, run).items()
    }
    context = {
        "sweep": sweep,
        "values": values,
        "need": need,
        "gate": found,
        "gate_error": error,
        "error_field": field if field in values else None,
        "metrics": list(metrics.values()),
        "others": runs_with_weights(session),
        "command": command,
        "query": request.url.query,
        "told_of": told_of,
    }
    return render(request, "gates/sweep.html", context)
