"""Every domain beyond accounts, joined to the application. Loading this takes longer than all that signing in needs."""

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse

import app.tables  # noqa: F401 - metadata is complete before the first query of a domain
from app import routers
from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.checklists.pages import ChecklistOfRun
from app.core.api_document import api_document
from app.core.routing import Router, hang
from app.core.templating import render
from app.core.web import public
from app.evaluations.judging import BuiltInJudging
from app.exports.listing import ExportsOfRun
from app.notices import document as webhooks
from app.queue.waiting import WaitingInTheQueue
from app.runs.check_use import RunsOfChecks

router = Router(include_in_schema=False)


def join(app: FastAPI) -> None:
    """What domains hand to those below them, and all routes."""
    app.state.judging = BuiltInJudging()
    app.state.check_use = RunsOfChecks()
    app.state.waiting = WaitingInTheQueue()
    app.state.elsewhere = (ChecklistOfRun(), ExportsOfRun(app.state.settings))
    hang(app, (*routers.ALL, router))


@router.get("/_patterns", response_class=HTMLResponse)
@needs(Permission.ACCOUNT_USE)
def _patterns(request: Request) -> HTMLResponse:
    """Every component in use, for those who build pages."""
    return render(request, "patterns/page.html")


@router.get("/api/v1/openapi.json")
@public
def _openapi(request: Request) -> JSONResponse:
    """The API's own description holds no secrets, so clients may read it before they have a token."""
    application: FastAPI = request.app
    return JSONResponse(api_document(application, webhooks.describe()))
