"""The page of a gate: limits in, what came of them out; the address keeps both. Beside them every number there is."""

from fastapi import Request, Response

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.templating import render
from app.core.web import Db
from app.gates import service
from app.gates.form import TypedLimits
from app.gates.metrics import read_metrics
from app.gates.reports import wanted
from app.gates.schemas import figure
from app.runs.service import list_runs, require_run

router = Router(prefix="/runs", include_in_schema=False)


@router.get("/{run_id}/gate", response_model=None)
@needs(Permission.EVALUATION_READ)
def gate_page(request: Request, session: Db, run_id: int, typed: TypedLimits) -> Response:
    """Limits on a run's numbers, one a line, and what the run must not be worse than."""
    run = require_run(session, run_id)
    context = {
        "run": run,
        **typed.shown(["--run", str(run.id)], lambda asked: service.judge(session, run, asked)),
        "metrics": list(read_metrics(session, run).values()),
        "others": [one for one in runs_with_weights(session) if one[0] != str(run.id)],
        "query": request.url.query,
        "wanted": wanted,
        "figure": figure,
    }
    return render(request, "gates/page.html", context)


def runs_with_weights(session: Db) -> list[tuple[str, str]]:
    """Id and words of runs that ended with weights, newest first."""
    return [
        (str(one.id), f"{one.id} · {one.name}")
        for one, _job in list_runs(session, limit=200)
        if one.adapter_key
    ]
