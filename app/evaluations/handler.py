"""The job that evaluates: the child generates, the parent judges."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session, col, select

from app.base_models.service import require_ready
from app.core.errors import Conflict
from app.core.storage import StoredFile
from app.evaluations.documents import Measurements
from app.evaluations.models import Variant
from app.evaluations.service import MAX_NEW_TOKENS, require_evaluation, store_answers
from app.jobs.events import EventKind
from app.jobs.handlers import JobHandler, Workplace
from app.jobs.models import JobEvent
from app.jobs.service import Claim
from app.mask_checks.service import require_mask_check
from app.runs.service import adapter_path, require_run
from app.sentences import N_, FailureCode


class Evaluate(JobHandler):
    """Base and tuned answers to a suite, and held-out loss of both."""

    def child_input(self, session: Session, place: Workplace, claim: Claim) -> dict[str, Any]:
        """Model, adapter, the arrays' validation split and the suite as stored."""
        evaluation = require_evaluation(session, claim.payload["evaluation_id"])
        run = require_run(session, evaluation.run_id)
        check = require_mask_check(session, run.mask_check_id)
        _model, folder = require_ready(session, run.base_model_id)
        return {
            "base_model_path": str(folder),
            "adapter_path": str(adapter_path(place.storage, run)),
            "arrays": str(place.storage.path(check.arrays_key)) if check.arrays_key else None,
            "suite": evaluation.suite,
            "template_arguments": check.settings.template_arguments,
            "generation": {"max_new_tokens": MAX_NEW_TOKENS},
        }

    def publish(
        self,
        session: Session,
        place: Workplace,
        claim: Claim,
        result: dict[str, Any],
        files: Sequence[StoredFile],
    ) -> None:
        """Judge what was answered; the answers are in the job's events."""
        evaluation = require_evaluation(session, claim.payload["evaluation_id"])
        events = session.exec(
            select(JobEvent)
            .where(JobEvent.job_id == claim.job_id, JobEvent.kind == EventKind.ANSWER)
            .order_by(col(JobEvent.seq))
        )
        require_finite(result)
        store_answers(session, evaluation, [event.payload for event in events], Measurements.stored(result))


def require_finite(result: Mapping[str, Any]) -> None:
    """Raises Conflict where a side has no held-out loss though conversations are held out: on its way here whatever
    is not a number became null, and unknown must not pass for nothing held out."""
    held_out = result.get("held_out") or {}
    losses = result.get("held_out_loss") or {}
    if held_out.get("conversations") and any(losses.get(variant) is None for variant in Variant):
        raise Conflict(
            N_("The held-out loss is not a number, so the model computes nonsense and was not judged."),
            code=FailureCode.NOT_A_NUMBER,
        )
