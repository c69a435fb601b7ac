"""The page of a gate: limits in, what came of them out; the address keeps both. Beside them every number there is."""

import shlex
from collections.abc import Sequence
from typing import Annotated

from fastapi import Query, Request, Response

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.core.errors import StudioError
from app.core.routing import Router
from app.core.templating import render
from app.core.web import Db
from app.gates import service
from app.gates.limits import GateRequest, read_request
from app.gates.metrics import read_metrics
from app.gates.reports import wanted
from app.gates.schemas import figure
from app.runs.service import list_runs, require_run

router = Router(prefix="/runs", include_in_schema=False)
# Longer ones belong into a script.
Lines = Annotated[str, Query(max_length=4000)]


@router.get("/{run_id}/gate", response_model=None)
@needs(Permission.EVALUATION_READ)
def gate_page(
    request: Request,
    session: Db,
    run_id: int,
    minimum: Annotated[Lines, Query(alias="min")] = "",
    maximum: Annotated[Lines, Query(alias="max")] = "",
    against: Annotated[str, Query(max_length=20)] = "",
    tolerance: Lines = "",
) -> Response:
    """Limits on a run's numbers, one a line, and what the run must not be worse than."""
    run = require_run(session, run_id)
    values = {"min": minimum, "max": maximum, "against": against, "tolerance": tolerance}
    found, error, field, command = None, None, None, None
    if any(text.strip() for text in values.values()):
        try:
            asked = read_request([minimum], [maximum], against, [tolerance])
            command = command_for(["--run", str(run.id)], asked)
            found = service.judge(session, run, asked)
        except StudioError as refusal:
            error, field = refusal.translated(), refusal.field
    context = {
        "run": run,
        "values": values,
        "gate": found,
        "gate_error": error,
        "error_field": field if field in values else None,
        "metrics": list(read_metrics(session, run).values()),
        "others": [one for one in runs_with_weights(session) if one[0] != str(run.id)],
        "command": command,
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


def command_for(what: Sequence[str], asked: GateRequest) -> str:
    """What a script types for the same."""
    words = ["sft-studio", "gate", *what]
    for limit in asked.limits:
        words += [f"--{limit.rule}", f"{limit.metric}={_typed(limit.value)}"]
    if asked.against is not None:
        words += ["--against", str(asked.against)]
    for name, allowed in asked.tolerances.items():
        words += ["--tolerance", f"{name}={_typed(allowed)}"]
    return f"{shlex.join(words)} --junit gate.xml --markdown gate.md"


def _typed(value: float) -> str:
    """The very number that was judged by: a rounded one might be kept or not where it is not."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < 2**53 else repr(value)
