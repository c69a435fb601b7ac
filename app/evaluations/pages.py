"""Pages of evaluations: the list, starting one, the report."""

from typing import Annotated, Any

from fastapi import Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlmodel import Session

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.i18n import get_locale, translate
from app.core.routing import Router
from app.core.templating import is_htmx, render
from app.core.web import AppStorage, Db
from app.evaluations import service
from app.evaluations.documents import CaseLimits, title_in_locale
from app.evaluations.earlier import earlier_run
from app.evaluations.models import Evaluation
from app.evaluations.report import Shown, Sorting, case_views, chosen, counts
from app.jobs.models import Job
from app.runs.lineage import lineage_of
from app.runs.service import list_runs, require_run
from app.scoring.scores import DIMENSIONS, FORMULAS
from app.scoring.suites import built_in_suites
from app.sentences import N_

router = Router(include_in_schema=False)


@router.get("/evaluations")
@needs(Permission.EVALUATION_READ)
def evaluations_page(request: Request, session: Db, run: int | None = None) -> HTMLResponse:
    """All evaluations, or those of one run, with the form that starts one."""
    found = service.list_evaluations(session, run_id=run)
    runs = [item for item, _job in list_runs(session, limit=200)]
    titles = {suite.name: suite.title.said_in(get_locale()) for suite in built_in_suites().values()}
    context = {
        "evaluations": found,
        "run_names": {item.id: item.name for item in runs},
        "finished_runs": [(item.id, f"#{item.id} {item.name}") for item in runs if item.adapter_key],
        "run_id": run,
        "suites": list(titles.items()),
        "suite_titles": titles,
    }
    return render(request, "evaluations/list.html", context)


@router.post("/evaluations", response_model=None)
@needs(Permission.EVALUATION_START)
def start_evaluation(
    session: Db,
    storage: AppStorage,
    actor: CurrentActor,
    run_id: Annotated[int, Form()],
    suite: Annotated[str, Form()],
    max_cases: Annotated[int | None, Form(ge=1, le=100_000, title=N_("Cases at most"))] = None,
    max_minutes: Annotated[float | None, Form(gt=0, le=24 * 60, title=N_("Minutes at most"))] = None,
) -> Response:
    """Judge a finished run on a suite; pressing twice leads to the same evaluation."""
    run = require_run(session, run_id)
    limits = CaseLimits(max_cases=max_cases, max_minutes=max_minutes)
    evaluation, _job = service.start_evaluation(session, storage, actor, run, suite, limits)
    return RedirectResponse(f"/evaluations/{evaluation.id}", status_code=303)


@router.get("/evaluations/{evaluation_id}")
@needs(Permission.EVALUATION_READ)
def report_page(
    request: Request, session: Db, evaluation_id: int, show: Shown = "all", sort: Sorting = "suite"
) -> HTMLResponse:
    """The report; while the evaluation runs, its progress. The list of cases alone for htmx."""
    evaluation = service.require_evaluation(session, evaluation_id)
    job = service.evaluation_job(session, evaluation)
    context = _report_context(session, evaluation, job, show, sort)
    return render(
        request, "evaluations/_cases.html" if is_htmx(request) else "evaluations/report.html", context
    )


@router.get("/evaluations/{evaluation_id}/progress")
@needs(Permission.EVALUATION_READ)
def progress_fragment(request: Request, session: Db, evaluation_id: int) -> Response:
    """The running evaluation's progress; tells htmx to load the report once it has ended."""
    evaluation = service.require_evaluation(session, evaluation_id)
    job = service.evaluation_job(session, evaluation)
    if job.is_final:
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    return render(request, "evaluations/_progress.html", _progress_context(session, evaluation, job))


def _progress_context(session: Session, evaluation: Evaluation, job: Job) -> dict[str, Any]:
    return {
        "evaluation": evaluation,
        "job": job,
        "answered": service.answered_count(session, job),
        "expected": 2 * service.expected_cases(evaluation, job),
    }


def _report_context(
    session: Session, evaluation: Evaluation, job: Job, show: Shown, sort: Sorting
) -> dict[str, Any]:
    run = require_run(session, evaluation.run_id)
    answers = service.answers(session, evaluation.id or 0)
    cases = case_views(evaluation, answers)
    summary = service.summary_of(evaluation, answers)
    return {
        **_progress_context(session, evaluation, job),
        **lineage_of(session, run),
        "earlier": earlier_run(session, evaluation, run, summary),
        "suite_title": title_in_locale(evaluation.suite.get("title", {})) or evaluation.suite_name,
        "cases": chosen(cases, show, sort),
        "counts": counts(cases),
        "show": show,
        "sort": sort,
        "summary": summary,
        "verdict": service.verdict_with(session, evaluation, summary),
        "dimensions": [(name, translate(FORMULAS[name], {})) for name in (*DIMENSIONS, "mean")],
    }
