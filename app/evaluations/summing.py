"""From judged answers to the summary of an evaluation: counts, means, retention and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.core.i18n import get_locale
from app.evaluations.documents import (
    EvaluationSummary,
    JudgedCheck,
    JudgedScores,
    JudgedSuite,
    MeanScores,
    Measurements,
    RetentionSummary,
    SideSummary,
)
from app.evaluations.models import EvaluationAnswer, Variant
from app.scoring.scores import general_score, mean_scores, retention
from app.scoring.suites import Suite
from app.scoring.verdict import Case, Side, judge_suite


@dataclass(frozen=True)
class JudgedAnswer:
    """A stored answer with its checks and scores as they are read."""

    row: EvaluationAnswer
    checks: list[JudgedCheck]
    scores: JudgedScores

    @classmethod
    def of(cls, row: EvaluationAnswer) -> "JudgedAnswer":
        """From the stored row, of this or an earlier program."""
        checks = JudgedCheck.of_answer(row.checks)
        return cls(row, checks, JudgedScores.of_answer(row.scores, checks))

    @property
    def passed(self) -> int:
        """Checks passed."""
        return sum(check.passed for check in self.checks)

    @property
    def side(self) -> Side:
        """What the verdict asks of it."""
        return Side(self.passed, len(self.checks), self.scores.mean, self.row.cut)


Pair = tuple[JudgedAnswer, JudgedAnswer]


def case_of(pair: Pair) -> Case:
    """Both answers to one prompt, base first."""
    base, tuned = pair
    return Case(base.side, tuned.side)


def summarise(suite: Suite, answers: Sequence[EvaluationAnswer], measured: Measurements) -> EvaluationSummary:
    """Of an evaluation's answers, in the suite's order."""
    judged = {(row.prompt_key, row.variant): JudgedAnswer.of(row) for row in answers}
    by_variant = {
        variant: [judged[prompt.key, variant] for prompt in suite.prompts if (prompt.key, variant) in judged]
        for variant in Variant
    }
    pairs = [
        (judged[prompt.key, Variant.BASE], judged[prompt.key, Variant.TUNED])
        for prompt in suite.prompts
        if all((prompt.key, variant) in judged for variant in Variant)
    ]
    base, tuned = (_side(by_variant[variant]) for variant in (Variant.BASE, Variant.TUNED))
    kept = retention(base.check_score, tuned.check_score) if suite.kind == "general" else None
    return EvaluationSummary(
        part=measured.part,
        held_out_loss=measured.held_out_loss,
        perplexity=measured.perplexity,
        generation=measured.generation,
        verdict=_verdict(suite, pairs, kept.value if kept else None),
        base=base,
        tuned=tuned,
        retention=kept and RetentionSummary(value=kept.value, warns=kept.warns, sentence=kept.sentence),
    )


@dataclass(frozen=True)
class NamedCheck:
    """The share of base and tuned answers that pass the checks of a name, 0 to 1; `title` in the reader's language."""

    title: str
    base: float | None
    tuned: float


def named_checks(suite: Suite, answers: Sequence[EvaluationAnswer]) -> dict[str, NamedCheck]:
    """By name, in the suite's order, those that tuned answers were put to."""
    passed: dict[tuple[Variant, str], list[bool]] = {}
    for answer in map(JudgedAnswer.of, answers):
        for check in answer.checks:
            passed.setdefault((answer.row.variant, check.name), []).append(check.passed)
    titles = {check.name: check.label(get_locale()) for prompt in suite.prompts for check in prompt.checks}
    return {
        name: NamedCheck(title, _mean(passed.get((Variant.BASE, name))), share)
        for name, title in titles.items()
        if (share := _mean(passed.get((Variant.TUNED, name)))) is not None
    }


def _mean(passed: Sequence[bool] | None) -> float | None:
    return sum(passed) / len(passed) if passed else None


def _verdict(suite: Suite, pairs: Sequence[Pair], kept: float | None) -> JudgedSuite | None:
    if not pairs:
        return None
    verdict = judge_suite(suite.kind, suite.title.model_dump(), [case_of(pair) for pair in pairs], kept)
    return JudgedSuite.model_validate(verdict.model_dump())


def _side(answers: Sequence[JudgedAnswer]) -> SideSummary:
    shares = [answer.passed / len(answer.checks) for answer in answers if answer.checks]
    return SideSummary(
        answers=len(answers),
        checks=sum(len(answer.checks) for answer in answers),
        checks_passed=sum(answer.passed for answer in answers),
        check_score=general_score(shares),
        scores=MeanScores(**mean_scores([answer.scores.values() for answer in answers])),
    )
