"""What evaluations store and send: the summary of one, and the checks and scores of each answer.

Loads no database, for the worker's child and the command line use it too.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from app.core.stored_models import StoredModel, Told
from app.scoring.scores import DIMENSIONS
from app.sentences import Sentence


class Sides(BaseModel):
    """One figure of the base and of the tuned model."""

    base: float
    tuned: float


class Measurements(StoredModel):
    """What the child measured of both models on the held-out split: nats a trained token; null where nothing is held out."""

    held_out_loss: Sides | None = None
    perplexity: Sides | None = None


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


class EvaluationSummary(Measurements):
    """Base and tuned model on one suite. `retention` only for suites of general ability."""

    schema_version: Literal[2] = 2
    base: SideSummary
    tuned: SideSummary
    retention: RetentionSummary | None = None

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """The first form kept the sentence of the retention as a text and its values."""
        kept = document.get("retention")
        if "schema_version" in document or not kept:
            return document
        return {**document, "retention": {**kept, "sentence": Sentence.stored_in(kept)}}


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
    """Every dimension of one answer and their mean."""

    relevance: JudgedScore
    completeness: JudgedScore
    professionalism: JudgedScore
    safety: JudgedScore
    format: JudgedScore
    mean: float

    @classmethod
    def of_answer(cls, stored: Mapping[str, Any]) -> Self:
        """Of an answer, of this or the first form."""
        told = {
            name: {**score, "sentence": Sentence.stored_in(score)}
            for name, score in stored.items()
            if name in DIMENSIONS
        }
        return cls.model_validate({**stored, **told})

    def values(self) -> dict[str, float]:
        """By dimension, the mean included."""
        return {**{name: getattr(self, name).value for name in DIMENSIONS}, "mean": self.mean}
