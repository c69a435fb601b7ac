"""The page of a gate over a sweep: limits in, what came of each run out; the address keeps both."""

from fastapi import Request, Response

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.templating import render
from app.core.web import Db
from app.gates.form import TypedLimits
from app.gates.metrics import read_metrics
from app.gates.pages import runs_with_weights
from app.gates.schemas import Need, figure
from app.gates.sweep_reports import told_of
from app.gates.sweeps import judge_sweep
from app.runs.sweeps.service import require_sweep, runs_of_sweep

router = Router(prefix="/sweeps", include_in_schema=False)


@router.get("/{sweep_id}/gate", response_model=None)
@needs(Permission.EVALUATION_READ)
def sweep_gate_page(
    request: Request, session: Db, sweep_id: int, typed: TypedLimits, need: Need = "any"
) -> Response:
    """Limits on the numbers of its runs, one a line, and whether one of them has to keep them or all."""
    sweep = require_sweep(session, sweep_id)
    metrics = {
        name: metric
        for run, _job in runs_of_sweep(session, sweep)
        for name, metric in read_metrics(session, run).items()
    }
    what = ["--sweep", str(sweep_id), "--need", need]
    context = {
        "sweep": sweep,
        "need": need,
        **typed.shown(what, lambda asked: judge_sweep(session, sweep, asked, need)),
        "metrics": list(metrics.values()),
        "others": runs_with_weights(session),
        "query": request.url.query,
        "told_of": told_of,
        "figure": figure,
    }
    return render(request, "gates/sweep.html", context)
