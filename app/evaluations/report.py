"""The report as a page reads it: prompts with both answers side by side, evidence cut into pieces. No rules here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.core.i18n import get_locale
from app.evaluations.documents import JudgedCheck, JudgedScores
from app.evaluations.models import Evaluation, EvaluationAnswer, Variant
from app.scoring.findings import segments
from app.scoring.suites import Prompt, parse_suite

Change = Literal["better", "worse", "same"]


@dataclass(frozen=True)
class CheckView:
    """One check of one answer, in the reader's language."""

    title: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class AnswerView:
    """One answer: its text in pieces ((text, evidence kind or None)), checks and scores."""

    variant: Variant
    text: str
    pieces: list[tuple[str, str | None]]
    seconds: float
    checks: list[CheckView]
    scores: dict[str, float]

    @property
    def passed(self) -> int:
        """Checks passed."""
        return sum(check.passed for check in self.checks)


@dataclass(frozen=True)
class PromptView:
    """One prompt with the answers there are."""

    key: str
    title: str
    messages: Sequence[Any]
    base: AnswerView | None
    tuned: AnswerView | None

    @property
    def change(self) -> Change:
        """Whether tuned passes more or fewer checks than base; the mean score decides between equals."""
        if self.base is None or self.tuned is None:
            return "same"
        if self.tuned.passed != self.base.passed:
            return "better" if self.tuned.passed > self.base.passed else "worse"
        gap = self.tuned.scores.get("mean", 0.0) - self.base.scores.get("mean", 0.0)
        return "same" if abs(gap) < 0.02 else ("better" if gap > 0 else "worse")


def prompt_views(evaluation: Evaluation, answers: Sequence[EvaluationAnswer]) -> list[PromptView]:
    """All prompts of the stored suite in its order."""
    suite = parse_suite(evaluation.suite, evaluation.suite_name)
    by_key = {(answer.prompt_key, answer.variant): answer for answer in answers}
    return [
        PromptView(
            key=prompt.key,
            title=prompt.title.said_in(get_locale()),
            messages=prompt.messages,
            base=_answer_view(prompt, by_key.get((prompt.key, Variant.BASE))),
            tuned=_answer_view(prompt, by_key.get((prompt.key, Variant.TUNED))),
        )
        for prompt in suite.prompts
    ]


def localised(texts: Any) -> str:
    """The text of the reader's language, or English."""
    return str(texts.get("zh" if get_locale() == "zh-CN" else "en") or texts.get("en") or "")


def _answer_view(prompt: Prompt, answer: EvaluationAnswer | None) -> AnswerView | None:
    if answer is None:
        return None
    titles = {check.name: check.label(get_locale()) for check in prompt.checks}
    judged = JudgedCheck.of_answer(answer.checks)
    checks = [
        CheckView(title=titles.get(check.name, check.name), passed=check.passed, detail=check.detail)
        for check in judged
    ]
    scores = JudgedScores.of_answer(answer.scores).values()
    return AnswerView(
        answer.variant, answer.text, _pieces(answer.text, judged), answer.seconds, checks, scores
    )


def _pieces(answer: str, checks: Sequence[JudgedCheck]) -> list[tuple[str, str | None]]:
    """Evidence of failed checks is marked as such; where a passed check's overlaps, the failure wins."""
    failed = [span for check in checks if not check.passed for span in check.evidence]
    passed = [span for check in checks if check.passed for span in check.evidence]
    pieces: list[tuple[str, str | None]] = []
    position = 0
    for text, marked in segments(answer, failed):
        if marked:
            pieces.append((text, "fail"))
        else:
            inner = [(start - position, end - position) for start, end in passed]
            clipped = [(s, e) for s, e in inner if e > 0 and s < len(text)]
            pieces += [(part, "pass" if hit else None) for part, hit in segments(text, clipped)]
        position += len(text)
    return pieces
