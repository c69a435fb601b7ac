"""What REST reads and writes for suites and evaluations."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from app.accounts.who import CreatedByOut
from app.evaluations.documents import CaseLimits, EvaluationSummary, JudgedCheck, JudgedScores
from app.evaluations.models import Evaluation, EvaluationAnswer, Variant
from app.jobs.models import Job
from app.jobs.schemas import JobOut


class SuiteOut(BaseModel):
    """A suite in brief."""

    name: str
    kind: str
    language: str
    title: dict[str, str]
    prompts: int
    hash: str


class EvaluationIn(CaseLimits):
    """Which suite to judge the run on, and how much of it."""

    model_config = ConfigDict(extra="forbid")

    suite: str


class AnswerOut(BaseModel):
    """One judged answer."""

    prompt_key: str
    variant: Variant
    text: str
    seconds: float
    tokens: int | None
    cut: bool
    checks: list[JudgedCheck]
    scores: JudgedScores

    @classmethod
    def of(cls, answer: EvaluationAnswer) -> "AnswerOut":
        """From the stored row, with the checks' details in the reader's language."""
        values: dict[str, Any] = {name: getattr(answer, name) for name in cls.model_fields}
        values["checks"] = JudgedCheck.of_answer(answer.checks)
        values["scores"] = JudgedScores.of_answer(answer.scores, values["checks"])
        return cls.model_validate(values)


class EarlierRunOut(BaseModel):
    """The run that the judged one began from. `losses` on what was held out, of it and of this one; its newest evaluation on the
    suite, and `checks` passed by it, by this one, of how many. Null where both were not measured the same way.
    """

    run_id: int
    words: str
    losses: tuple[float, float] | None
    evaluation_id: int | None
    checks: tuple[int, int, int] | None


class EvaluationOut(CreatedByOut):
    """An evaluation; `summary` is null until it is done, `earlier` of a run that began from its base model and in lists."""

    id: int
    run_id: int
    suite_name: str
    summary: EvaluationSummary | None
    created_at: datetime
    job: JobOut
    answers: list[AnswerOut] | None = None
    earlier: EarlierRunOut | None = None

    @classmethod
    def of(
        cls, evaluation: Evaluation, job: Job, answers: list[EvaluationAnswer] | None = None
    ) -> "EvaluationOut":
        """From the stored rows."""
        names = [name for name in cls.model_fields if name not in {"job", "answers", "earlier"}]
        values: dict[str, Any] = {name: getattr(evaluation, name) for name in names}
        values["job"] = JobOut.of(job)
        if answers is not None:
            values["answers"] = [AnswerOut.of(answer) for answer in answers]
        return cls.model_validate(values)
