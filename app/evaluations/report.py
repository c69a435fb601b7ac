"""The report as a page reads it: cases with both answers side by side, evidence and differences cut into pieces, chosen and
sorted as the address asks. No rules here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from app.core.i18n import get_locale
from app.dialogue.differences import Pieces, differences
from app.evaluations.documents import JudgedCheck
from app.evaluations.models import Evaluation, EvaluationAnswer, Variant
from app.evaluations.summing import JudgedAnswer, case_of
from app.scoring.findings import segments
from app.scoring.suites import Prompt, parse_suite
from app.scoring.verdict import Change

Shown = Literal["all", "worse", "better", "same", "cut"]
Sorting = Literal["suite", "worst", "best"]


@dataclass(frozen=True)
class CheckView:
    """One check and what became of it on both sides; a side that did not answer has None."""

    title: str
    base: JudgedCheck | None
    tuned: JudgedCheck | None


@dataclass(frozen=True)
class AnswerView:
    """One answer; `pieces` are (text, evidence kind or None), `words` (text, whether only this side says it)."""

    judged: JudgedAnswer
    pieces: list[tuple[str, str | None]]
    words: Pieces

    @property
    def text(self) -> str:
        """The whole answer."""
        return self.judged.row.text


@dataclass(frozen=True)
class CaseView:
    """One prompt with the answers there are; `change` and `effect` only where there are both."""

    number: int
    key: str
    title: str
    messages: Sequence[Any]
    base: AnswerView | None
    tuned: AnswerView | None
    checks: list[CheckView]
    change: Change | None = None
    effect: float = 0.0
    gap: float = 0.0

    @property
    def cut(self) -> bool:
        """Whether the token limit ended one of the answers."""
        return any(answer.judged.row.cut for answer in (self.base, self.tuned) if answer)


_SHOWS: Final[Mapping[Shown, Callable[[CaseView], bool]]] = {
    "all": lambda case: True,
    "worse": lambda case: case.change == "worse",
    "better": lambda case: case.change == "better",
    "same": lambda case: case.change == "same",
    "cut": lambda case: case.cut,
}
_PLACES: Final[Mapping[Sorting, Callable[[CaseView], tuple[float, ...]]]] = {
    "suite": lambda case: (case.number,),
    "worst": lambda case: (case.effect, case.gap, case.number),
    "best": lambda case: (-case.effect, -case.gap, case.number),
}
SHOWN: Final[tuple[Shown, ...]] = get_args(Shown)
SORTINGS: Final[tuple[Sorting, ...]] = get_args(Sorting)


def case_views(evaluation: Evaluation, answers: Sequence[EvaluationAnswer]) -> list[CaseView]:
    """All prompts of the stored suite in its order."""
    suite = parse_suite(evaluation.suite, evaluation.suite_name)
    judged = {(row.prompt_key, row.variant): JudgedAnswer.of(row) for row in answers}
    return [
        _case(number, prompt, judged.get((prompt.key, Variant.BASE)), judged.get((prompt.key, Variant.TUNED)))
        for number, prompt in enumerate(suite.prompts, start=1)
    ]


def counts(cases: Sequence[CaseView]) -> dict[Shown, int]:
    """How many cases each filter shows."""
    return {name: sum(map(shows, cases)) for name, shows in _SHOWS.items()}


def chosen(cases: Sequence[CaseView], shown: Shown, sorting: Sorting) -> list[CaseView]:
    """Those that the filter shows, in this order."""
    return sorted(filter(_SHOWS[shown], cases), key=_PLACES[sorting])


def _case(number: int, prompt: Prompt, base: JudgedAnswer | None, tuned: JudgedAnswer | None) -> CaseView:
    old, new = differences(base.row.text if base else "", tuned.row.text if tuned else "")
    case = case_of((base, tuned)) if base and tuned else None
    return CaseView(
        number=number,
        key=prompt.key,
        title=prompt.title.said_in(get_locale()),
        messages=prompt.messages,
        base=AnswerView(base, _pieces(base), old) if base else None,
        tuned=AnswerView(tuned, _pieces(tuned), new) if tuned else None,
        checks=_checks(prompt, base, tuned),
        change=case.change if case else None,
        effect=case.effect if case else 0.0,
        gap=case.tuned.score - case.base.score if case else 0.0,
    )


def _checks(prompt: Prompt, base: JudgedAnswer | None, tuned: JudgedAnswer | None) -> list[CheckView]:
    found = [{check.name: check for check in answer.checks} if answer else {} for answer in (base, tuned)]
    return [
        CheckView(check.label(get_locale()), found[0].get(check.name), found[1].get(check.name))
        for check in prompt.checks
    ]


def _pieces(answer: JudgedAnswer) -> list[tuple[str, str | None]]:
    """Evidence of failed checks is marked as such; where a passed check's overlaps, the failure wins."""
    failed = [span for check in answer.checks if not check.passed for span in check.evidence]
    passed = [span for check in answer.checks if check.passed for span in check.evidence]
    pieces: list[tuple[str, str | None]] = []
    position = 0
    for text, marked in segments(answer.row.text, failed):
        if marked:
            pieces.append((text, "fail"))
        else:
            inner = [(start - position, end - position) for start, end in passed]
            clipped = [(s, e) for s, e in inner if e > 0 and s < len(text)]
            pieces += [(part, "pass" if hit else None) for part, hit in segments(text, clipped)]
        position += len(text)
    return pieces
