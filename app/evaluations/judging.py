"""Evaluations as runs see them."""

from sqlmodel import Session

from app.evaluations.service import list_evaluations
from app.runs.judging import Judgement, SuiteChoice
from app.scoring.suites import built_in_suites


class BuiltInJudging:
    """The suites that come with the product, and the evaluations stored."""

    def suites(self) -> list[SuiteChoice]:
        """Every suite a run can be judged on."""
        return [
            SuiteChoice(suite.name, suite.title.model_dump(), len(suite.prompts))
            for suite in built_in_suites().values()
        ]

    def of_run(self, session: Session, run_id: int) -> list[Judgement]:
        """What was judged of a run, newest first."""
        return [
            Judgement(evaluation.id or 0, evaluation.suite_name, job)
            for evaluation, job in list_evaluations(session, run_id=run_id)
        ]
