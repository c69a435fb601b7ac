"""What evaluations store and send: the summary of one, and the checks and scores of each answer.

Loads no database, for the worker's child and the command line use it too.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, computed_field

from app.core.i18n import get_locale, say
from app.core.stored_models import StoredModel, Told
from app.scoring.run_verdict import RunVerdict
from app.scoring.scores import DIMENSIONS
from app.scoring.verdict import Level, Outcome, SuiteVerdict, outcome_word
from app.sentences import N_, Sentence


class Sides(BaseModel):
    """One figure of the base and of the tuned model."""

    base: float
    tuned: float


class Generation(BaseModel):
    """How the answers were made: both sides the same way, without sampling."""

    decoding: Literal["greedy"] = "greedy"
    max_new_tokens: int
    precision: str | None = None
    device: str | None = None


class CaseLimits(BaseModel):
    """How much of a suite is answered, the cases chosen evenly over it and the same for both models. All of it where both
    are null."""

    max_cases: int | None = Field(default=None, ge=1, le=100_000, description="At most so many cases.")
    max_minutes: float | None = Field(
        default=None,
        gt=0,
        le=24 * 60,
        description="As many cases as so many minutes allow, by the speed that the worker measures first; at least one.",
    )


class Part(Told):
    """So many of a suite's cases were answered, those with these keys, and why not all."""

    cases: int
    of: int
    keys: list[str]


class Measurements(StoredModel):
    """What the child tells beside the answers. Losses are those of both models on the held-out split, in nats a trained
    token, and null where nothing is held out; `generation` is null in evaluations of earlier programs; `part` is null
    where the whole suite was answered."""

    part: Part | None = None
    held_out_loss: Sides | None = None
    perplexity: Sides | None = None
    generation: Generation | None = None


class MeanScores(BaseModel):
    """Means over a suite's answers, 0 to 1; null where nothing was answered."""

    relevance: float | None = None
    completeness: float | None = None
    professionalism: float | None = None
    safety: float | None = None
    format: float | None = None
    mean: float | None = None


class SideSummary(BaseModel):
    """One model's answers: how many, how many checks they were put to and passed, and their mean scores."""

    answers: int
    checks: int
    checks_passed: int
    check_score: float | None
    scores: MeanScores


class RetentionSummary(Told):
    """How much general ability is left, tuned ÷ base; `value` is null where it cannot be said."""

    value: float | None
    warns: bool


def title_in_locale(title: Mapping[str, str]) -> str:
    """The title in the reader's language, else in English."""
    return title.get("zh" if get_locale() == "zh-CN" else "en") or title.get("en") or ""


class JudgedSuite(SuiteVerdict):
    """The verdict on a suite with its words in the reader's language."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def word(self) -> str:
        """The outcome in a word."""
        return say(Sentence(outcome_word(self.outcome, sure=self.sure)))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def detail(self) -> str:
        """The verdict with its numbers."""
        return say(self.headline(title_in_locale(self.title)))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def certainty_detail(self) -> str:
        """How sure that is."""
        return say(self.certainty())


class SuiteOfRun(JudgedSuite):
    """The newest verdict of a run on this suite, and the evaluation that it comes from."""

    evaluation_id: int
    suite_name: str
    part: Part | None = None


class AdviceTold(Told):
    """What to do next and why; `code` is for programs."""

    code: str


class JudgedRun(BaseModel):
    """A run on all the suites it was judged on, the newest evaluation of each; words in the reader's language."""

    outcome: Outcome
    level: Level
    word: str
    detail: str
    suites: list[SuiteOfRun]
    advice: list[AdviceTold]
    held_out_loss: Sides | None = None

    @classmethod
    def of(cls, suites: Sequence[SuiteOfRun], held_out_loss: Sides | None) -> Self:
        """From the verdicts on its suites and what was measured on the held-out split."""
        rose = held_out_loss is not None and held_out_loss.tuned > held_out_loss.base
        verdict = RunVerdict(tuple(suites), rose)
        return cls(
            outcome=verdict.outcome,
            level=verdict.level,
            word=say(Sentence(verdict.word)),
            detail=say(Sentence(N_("; "))).join(suite.detail for suite in suites),
            suites=list(suites),
            advice=[AdviceTold(code=one.code, sentence=one.sentence) for one in verdict.advice],
            held_out_loss=held_out_loss,
        )


class EvaluationSummary(Measurements):
    """Base and tuned model on one suite. `retention` only for suites of general ability.

    `verdict` is null where no prompt was answered by both sides, and in summaries of earlier programs.
    """

    schema_version: Literal[3] = 3
    verdict: JudgedSuite | None = None
    base: SideSummary
    tuned: SideSummary
    retention: RetentionSummary | None = None

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """The first form kept the sentence of the retention as a text and its values; the second had no verdict."""
        kept = document.get("retention")
        document = {name: value for name, value in document.items() if name != "schema_version"}
        return {**document, "retention": {**kept, "sentence": Sentence.stored_in(kept)}} if kept else document


class JudgedCheck(Told):
    """One check of one answer; `evidence` are [start, end) ranges of the answer, in characters."""

    name: str
    kind: str
    passed: bool
    evidence: list[tuple[int, int]] = Field(default_factory=list)

    @classmethod
    def of_answer(cls, stored: Sequence[Mapping[str, Any]]) -> list[Self]:
        """All of an answer, of this or the first form, which kept the sentence as a text and its values."""
        return [cls.model_validate({**one, "sentence": Sentence.stored_in(one)}) for one in stored]


class JudgedScore(Told):
    """One dimension of one answer, 0 to 1; the sentence holds the numbers it came from."""

    value: float


class JudgedScores(BaseModel):
    """Every dimension of one answer and their mean, which is never above the share of checks passed."""

    relevance: JudgedScore
    completeness: JudgedScore
    professionalism: JudgedScore
    safety: JudgedScore
    format: JudgedScore
    mean: float

    @classmethod
    def of_answer(cls, stored: Mapping[str, Any], checks: Sequence[JudgedCheck] = ()) -> Self:
        """Of an answer and its checks, of this or an earlier form, whose means took no notice of checks."""
        told = {
            name: {**score, "sentence": Sentence.stored_in(score)}
            for name, score in stored.items()
            if name in DIMENSIONS
        }
        passed = [check.passed for check in checks]
        limit = sum(passed) / len(passed) if passed else 1.0
        return cls.model_validate({**stored, **told, "mean": min(stored["mean"], limit)})

    def values(self) -> dict[str, float]:
        """By dimension, the mean included."""
        return {**{name: getattr(self, name).value for name in DIMENSIONS}, "mean": self.mean}
