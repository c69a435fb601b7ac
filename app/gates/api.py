"""REST for gates: the numbers of a run, and whether it passes limits on them."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import PlainTextResponse, Response

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.web import Db
from app.gates import service
from app.gates.limits import GateRequest, asked
from app.gates.metrics import read_metrics
from app.gates.reports import junit, markdown
from app.gates.schemas import GateOut, MetricOut
from app.runs.service import require_run

router = Router(prefix="/api/v1/runs/{run_id}", tags=["gates"])
Asked = Annotated[GateRequest, Depends(asked)]


@router.get("/metrics")
@needs(Permission.EVALUATION_READ)
def list_metrics(session: Db, run_id: int) -> list[MetricOut]:
    """Every number that the run and its newest evaluations have; a gate may limit each."""
    run = require_run(session, run_id)
    return [
        MetricOut(
            name=one.name,
            label=gettext(one.label),
            value=one.value,
            base=one.base,
            better=one.better,
            span=one.span,
            suite=one.suite,
        )
        for one in read_metrics(session, run).values()
    ]


@router.get("/gate")
@needs(Permission.EVALUATION_READ)
def judge_run(session: Db, run_id: int, request: Asked) -> GateOut:
    """Whether the run keeps the limits and is no worse than the base model or another run.

    422 for a metric that the run does not have, with those it has; 409 where it cannot be judged yet or compared.
    """
    return service.judge(session, require_run(session, run_id), request)


@router.get("/gate/junit", response_class=Response, responses={200: {"content": {"application/xml": {}}}})
@needs(Permission.EVALUATION_READ)
def judge_run_as_junit(session: Db, run_id: int, request: Asked) -> Response:
    """The same as a JUnit file, which CI systems show as tests."""
    found = service.judge(session, require_run(session, run_id), request)
    headers = {"Content-Disposition": f'attachment; filename="gate-run-{run_id}.xml"'}
    return Response(junit(found), media_type="application/xml", headers=headers)


@router.get("/gate/markdown", response_class=PlainTextResponse)
@needs(Permission.EVALUATION_READ)
def judge_run_as_markdown(address: Request, session: Db, run_id: int, request: Asked) -> PlainTextResponse:
    """The same as Markdown, for a job's summary or a comment."""
    found = service.judge(session, require_run(session, run_id), request)
    headers = {"Content-Disposition": f'attachment; filename="gate-run-{run_id}.md"'}
    return PlainTextResponse(
        markdown(found, f"{address.base_url}runs/{run_id}"), media_type="text/markdown", headers=headers
    )
