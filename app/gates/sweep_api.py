"""REST for the gate over a sweep."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import PlainTextResponse, Response

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.web import Db
from app.gates.api import Asked
from app.gates.schemas import Need, SweepGateOut
from app.gates.sweep_reports import sweep_junit, sweep_markdown
from app.gates.sweeps import judge_sweep
from app.runs.sweeps.service import require_sweep

router = Router(prefix="/api/v1/sweeps/{sweep_id}/gate", tags=["gates"])
_Need = Annotated[Need, Query(description="Whether one of the runs has to pass, or all of them.")]


@router.get("")
@needs(Permission.EVALUATION_READ)
def judge(session: Db, sweep_id: int, request: Asked, need: _Need = "any") -> SweepGateOut:
    """Whether the runs of a sweep keep the limits: one of them at least, or all.

    422 for a metric that none of them has; 409 where it hangs on a run that cannot be judged yet, or none can.
    """
    return judge_sweep(session, require_sweep(session, sweep_id), request, need)


@router.get("/junit", response_class=Response, responses={200: {"content": {"application/xml": {}}}})
@needs(Permission.EVALUATION_READ)
def judge_as_junit(session: Db, sweep_id: int, request: Asked, need: _Need = "any") -> Response:
    """The same as a JUnit file: a test for each run."""
    found = judge_sweep(session, require_sweep(session, sweep_id), request, need)
    headers = {"Content-Disposition": f'attachment; filename="gate-sweep-{sweep_id}.xml"'}
    return Response(sweep_junit(found), media_type="application/xml", headers=headers)


@router.get("/markdown", response_class=PlainTextResponse)
@needs(Permission.EVALUATION_READ)
def judge_as_markdown(
    address: Request, session: Db, sweep_id: int, request: Asked, need: _Need = "any"
) -> PlainTextResponse:
    """The same as Markdown, a row for each run."""
    found = judge_sweep(session, require_sweep(session, sweep_id), request, need)
    headers = {"Content-Disposition": f'attachment; filename="gate-sweep-{sweep_id}.md"'}
    page = f"{address.base_url}sweeps/{sweep_id}"
    return PlainTextResponse(sweep_markdown(found, page), media_type="text/markdown", headers=headers)
