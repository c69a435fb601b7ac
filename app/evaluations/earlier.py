"""The earlier run that a judged run began from: what a report says of it, and how both did on the same suite."""

from dataclasses import dataclass

from sqlmodel import Session

from app.evaluations.documents import EvaluationSummary
from app.evaluations.models import Evaluation
from app.evaluations.service import newest_summaries, require_evaluation
from app.runs.beginning_words import against_earlier, beginning_words
from app.runs.models import Run


@dataclass(frozen=True)
class EarlierRun:
    """`words` say where the run began. `losses` on what was held out, of the earlier run and of this one; `checks` passed on the
    suite's same cases, of both, and how many there are; None where they were not measured the same way.
    """

    run_id: int
    words: str
    losses: tuple[float, float] | None = None
    evaluation_id: int | None = None
    checks: tuple[int, int, int] | None = None


def earlier_run(
    session: Session, evaluation: Evaluation, run: Run, summary: EvaluationSummary | None
) -> EarlierRun | None:
    """None of a run that began from its base model."""
    if run.begins is None:
        return None
    parent_id = run.begins.run_id
    words, losses = beginning_words(run), against_earlier(session, run)
    found = newest_summaries(session, [parent_id]).get(parent_id, {}).get(evaluation.suite_name)
    if found is None:
        return EarlierRun(parent_id, words, losses)
    evaluation_id, theirs = found
    checks = None
    if summary is not None and require_evaluation(session, evaluation_id).suite == evaluation.suite:
        checks = (theirs.tuned.checks_passed, summary.tuned.checks_passed, summary.tuned.checks)
    return EarlierRun(parent_id, words, losses, evaluation_id, checks)
