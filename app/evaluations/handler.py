"""The job that evaluates: the child generates, the parent judges."""

from collections.abc import Sequence

from sqlmodel import Session

from app.base_models.service import require_ready
from app.core.errors import Conflict
from app.core.storage import StoredFile
from app.evaluations.service import MAX_NEW_TOKENS, require_evaluation, store_answers
from app.evaluations.work import (
    EvaluateInput,
    EvaluatePayload,
    EvaluateResult,
    GenerationInput,
    PromptInput,
    SuiteInput,
)
from app.jobs.events import AnswerPayload
from app.jobs.handlers import JobHandler, Workplace
from app.jobs.newest import all_events
from app.jobs.service import Claim
from app.mask_checks.service import require_mask_check
from app.runs.service import adapter_path, require_run
from app.scoring.suites import parse_suite
from app.sentences import N_, FailureCode


class Evaluate(JobHandler[EvaluateResult]):
    """Base and tuned answers to a suite, and held-out loss of both."""

    result_model = EvaluateResult

    def child_input(self, session: Session, place: Workplace, claim: Claim) -> EvaluateInput:
        """Model, adapter, the arrays' validation split and the suite as stored."""
        asked = claim.asked(EvaluatePayload)
        evaluation = require_evaluation(session, asked.evaluation_id)
        run = require_run(session, evaluation.run_id)
        check = require_mask_check(session, run.mask_check_id)
        _model, folder = require_ready(session, run.base_model_id)
        suite = parse_suite(evaluation.suite, evaluation.suite_name)
        return EvaluateInput(
            base_model_path=str(folder),
            adapter_path=str(adapter_path(place.storage, run)),
            arrays=str(place.storage.path(check.arrays_key)) if check.arrays_key else None,
            suite=SuiteInput(
                name=suite.name,
                prompts=[PromptInput(key=one.key, messages=list(one.messages)) for one in suite.prompts],
            ),
            template_arguments=check.settings.template_arguments,
            generation=GenerationInput(max_new_tokens=MAX_NEW_TOKENS),
            limits=asked.limits,
        )

    def publish(
        self,
        session: Session,
        place: Workplace,
        claim: Claim,
        result: EvaluateResult,
        files: Sequence[StoredFile],
    ) -> None:
        """Judge what was answered; the answers are in the job's events."""
        evaluation = require_evaluation(session, claim.asked(EvaluatePayload).evaluation_id)
        require_finite(result)
        store_answers(session, evaluation, all_events(session, claim.job_id, AnswerPayload), result)


def require_finite(result: EvaluateResult) -> None:
    """Raises Conflict where a side has no held-out loss though conversations are held out: on its way here whatever
    is not a number became null, and unknown must not pass for nothing held out."""
    if result.held_out.conversations and result.held_out_loss is None:
        raise Conflict(
            N_("The held-out loss is not a number, so the model computes nonsense and was not judged."),
            code=FailureCode.NOT_A_NUMBER,
        )
