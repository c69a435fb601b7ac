"""Evaluations as runs see them."""

from collections.abc import Mapping, Sequence

from sqlmodel import Session

from app.evaluations.documents import JudgedRun
from app.evaluations.service import list_evaluations, verdicts
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
            Judgement(
                evaluation.id or 0,
                evaluation.suite_name,
                job,
                evaluation.summary.verdict if evaluation.summary else None,
            )
            for evaluation, job in list_evaluations(session, run_id=run_id)
        ]

    def verdicts(self, session: Session, run_ids: Sequence[int]) -> Mapping[int, JudgedRun]:
        """By run, over the newest evaluation of each suite."""
        return verdicts(session, run_ids)
