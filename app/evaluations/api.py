"""REST for suites and evaluations."""

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.web import AppStorage, Db
from app.evaluations import service
from app.evaluations.documents import JudgedRun
from app.evaluations.earlier import earlier_run
from app.evaluations.schemas import EarlierRunOut, EvaluationIn, EvaluationOut, SuiteOut
from app.runs.service import require_run
from app.scoring.suites import built_in_suites

router = Router(prefix="/api/v1", tags=["evaluations"])


@router.get("/suites")
@needs(Permission.EVALUATION_READ)
def list_suites() -> list[SuiteOut]:
    """The suites there are."""
    return [
        SuiteOut(
            name=suite.name,
            kind=suite.kind,
            language=suite.language,
            title=suite.title.model_dump(),
            prompts=len(suite.prompts),
            hash=suite.hash,
        )
        for suite in built_in_suites().values()
    ]


@router.get("/evaluations")
@needs(Permission.EVALUATION_READ)
def list_evaluations(session: Db, run_id: int | None = None) -> list[EvaluationOut]:
    """Evaluations, newest first; of one run, or all."""
    return [EvaluationOut.of(found, job) for found, job in service.list_evaluations(session, run_id=run_id)]


@router.post("/runs/{run_id}/evaluations", status_code=202)
@needs(Permission.EVALUATION_START)
def start_evaluation(
    session: Db, storage: AppStorage, actor: CurrentActor, run_id: int, body: EvaluationIn
) -> EvaluationOut:
    """Judge a finished run on a suite. One already under way is returned."""
    run = require_run(session, run_id)
    evaluation, job = service.start_evaluation(session, storage, actor, run, body.suite, body)
    return EvaluationOut.of(evaluation, job)


@router.get("/evaluations/{evaluation_id}")
@needs(Permission.EVALUATION_READ)
def get_evaluation(session: Db, evaluation_id: int) -> EvaluationOut:
    """One evaluation with all its answers."""
    evaluation = service.require_evaluation(session, evaluation_id)
    job = service.evaluation_job(session, evaluation)
    answers = service.answers(session, evaluation_id)
    shown = EvaluationOut.of(evaluation, job, answers)
    shown.summary = service.summary_of(evaluation, answers)
    earlier = earlier_run(session, evaluation, require_run(session, evaluation.run_id), shown.summary)
    shown.earlier = EarlierRunOut(**vars(earlier)) if earlier else None
    return shown


@router.get("/runs/{run_id}/verdict")
@needs(Permission.EVALUATION_READ)
def get_verdict(session: Db, run_id: int) -> JudgedRun | None:
    """Whether the run is better than its base model, over the newest evaluation of each suite; null before there is one."""
    require_run(session, run_id)
    return service.verdicts(session, [run_id]).get(run_id)
