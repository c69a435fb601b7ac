"""Is the tuned model better? From the cases of both sides to a verdict on a suite.

A case is one prompt that both sides answered. Its *effect* lies between −1 and 1:

- where one side passes more of the prompt's checks: the difference of the shares of checks passed;
- where both pass every check: the difference of the scores, if it reaches `SAME_SCORE`;
- otherwise 0. Between two answers that fail equally many checks no score makes one of them the better.

Better, worse and same are its sign, so exchanging the sides exchanges them too. A suite's direction is agreed by three
counts: cases won against lost, checks passed, and the mean effect; two of them must point that way, as a mean alone leans
to one side by chance of wording, and where two contradict each other it is mixed.
How sure that is says a paired bootstrap over the cases, with a seed of its own: the same cases give the same interval.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, computed_field

from app.scoring.scores import RETENTION_WARNING
from app.sentences import N_, Sentence

Change = Literal["better", "worse", "same"]
Outcome = Literal["better", "worse", "mixed", "same"]
Level = Literal["good", "unclear", "warning", "bad"]

# Scores of two answers that both pass every check differ by chance of wording within this.
SAME_SCORE: Final = 0.1
# With fewer cases no interval is worth reading.
FEWEST_CASES: Final = 10
RESAMPLES: Final = 2000
CONFIDENCE: Final = 0.95
# Means of effects are sums of shares such as 1/3; what rounds to nothing is nothing.
NOTHING: Final = 1e-9
_WORDS: Final[Mapping[Outcome, str]] = {
    "better": N_("Better"),
    "worse": N_("Worse"),
    "mixed": N_("Mixed"),
    "same": N_("No difference"),
}
_UNSURE_WORDS: Final[Mapping[Outcome, str]] = {"better": N_("Perhaps better"), "worse": N_("Perhaps worse")}
# From the best to the worst.
LEVELS: Final[tuple[Level, ...]] = ("good", "unclear", "warning", "bad")


@dataclass(frozen=True)
class Side:
    """One model's answer to a prompt: checks passed of how many, its score (0 to 1), whether the token limit cut it."""

    passed: int
    checks: int
    score: float
    cut: bool = False


@dataclass(frozen=True)
class Case:
    """One prompt with both answers, put to the same checks."""

    base: Side
    tuned: Side

    @property
    def effect(self) -> float:
        """−1 to 1; positive where the tuned answer is better."""
        passed, before = self.tuned.passed, self.base.passed
        if passed != before:
            return (passed - before) / self.tuned.checks
        if passed < self.tuned.checks:
            return 0.0
        gap = self.tuned.score - self.base.score
        return gap if abs(gap) >= SAME_SCORE else 0.0

    @property
    def change(self) -> Change:
        """What became of the answer."""
        effect = self.effect
        return "same" if effect == 0 else ("better" if effect > 0 else "worse")


class SuiteCounts(BaseModel):
    """A run's cases on a suite: won, lost and equal; checks passed by the base model and by the tuned one, of `checks`;
    `retention` is tuned ÷ base, for suites of general ability.
    """

    wins: int
    losses: int
    ties: int
    checks: int
    checks_before: int
    checks_after: int
    retention: float | None = None


class SuiteVerdict(SuiteCounts):
    """A run on one suite, in numbers; `title` by language.

    `effect`, `low` and `high` are the mean effect (−1 to 1) and its 95 % interval, which is null below `FEWEST_CASES`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["sales", "general"]
    title: dict[str, str]
    cases: int
    cut_before: int
    cut_after: int
    effect: float
    low: float | None
    high: float | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def outcome(self) -> Outcome:
        """Which way the numbers point; mixed where they contradict each other."""
        gained = self.checks_after - self.checks_before
        effect = 0 if abs(self.effect) < NOTHING else self.effect
        signs = [_sign(number) for number in (self.wins - self.losses, gained, effect)]
        return "same" if signs.count(0) == len(signs) - 1 else agreed(signs)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def sure(self) -> bool:
        """More than chance: there are enough cases, and the interval, as it is told, lies on one side of nothing."""
        if self.low is None or self.high is None:
            return False
        return points(self.low) > 0 or points(self.high) < 0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def level(self) -> Level:
        """How good that is. A suite of general ability is good already when nothing was lost."""
        forgot = self.retention is not None and self.retention < RETENTION_WARNING
        match self.outcome:
            case "worse":
                return "bad" if forgot or (self.sure and self.kind != "general") else "warning"
            case "mixed":
                return "bad" if forgot else "warning"
            case "better" if self.sure or self.kind == "general":
                return "good"
            case "same" if self.kind == "general" and self.cases >= FEWEST_CASES:
                return "good"
        return "unclear"

    def headline(self, suite: str) -> Sentence:
        """The verdict in words with its numbers; `suite` is the title in the reader's language."""
        gained = self.checks_after - self.checks_before
        template = _HEADLINES[self.kind if self.outcome == "worse" else "any", self.outcome]
        return Sentence.of(template, suite=suite, wins=self.wins, losses=self.losses, checks=signed(gained))

    def certainty(self) -> Sentence:
        """How sure that is: the number of cases and the interval, in points of a hundred."""
        if self.low is None or self.high is None:
            if self.cases == 1:
                return Sentence.of(N_("Only one case: too few to tell from chance."))
            return Sentence.of(N_("Only %(cases)d cases: too few to tell from chance."), cases=self.cases)
        template = N_(
            "%(cases)d cases, which changed by %(effect)s points of 100 on average, "
            "95 %% interval %(low)s to %(high)s: this may be chance."
        )
        if self.sure:
            template = N_(
                "%(cases)d cases, which changed by %(effect)s points of 100 on average, "
                "95 %% interval %(low)s to %(high)s: more than chance."
            )
        low, effect, high = (signed(points(share)) for share in (self.low, self.effect, self.high))
        return Sentence.of(template, cases=self.cases, low=low, effect=effect, high=high)


_HEADLINES: Final[Mapping[tuple[str, Outcome], str]] = {
    ("any", "better"): N_("Better on %(suite)s (%(wins)d–%(losses)d, %(checks)s checks)"),
    ("sales", "worse"): N_("Worse on %(suite)s (%(wins)d–%(losses)d, %(checks)s checks)"),
    ("general", "worse"): N_("Weaker on %(suite)s (%(wins)d–%(losses)d, %(checks)s checks)"),
    ("any", "mixed"): N_("Mixed on %(suite)s (%(wins)d–%(losses)d, %(checks)s checks)"),
    ("any", "same"): N_("No difference on %(suite)s (%(wins)d–%(losses)d, %(checks)s checks)"),
}


def judge_suite(
    kind: Literal["sales", "general"],
    title: Mapping[str, str],
    cases: Sequence[Case],
    retention: float | None = None,
) -> SuiteVerdict:
    """The verdict on the cases of one suite. Raises ValueError where there is none."""
    if not cases:
        raise ValueError("a suite without answers of both sides has no verdict")
    changes = [case.change for case in cases]
    effects = [case.effect for case in cases]
    low, high = interval(effects) if len(cases) >= FEWEST_CASES else (None, None)
    return SuiteVerdict(
        kind=kind,
        title=dict(title),
        cases=len(cases),
        wins=changes.count("better"),
        losses=changes.count("worse"),
        ties=changes.count("same"),
        checks=sum(case.tuned.checks for case in cases),
        checks_before=sum(case.base.passed for case in cases),
        checks_after=sum(case.tuned.passed for case in cases),
        cut_before=sum(case.base.cut for case in cases),
        cut_after=sum(case.tuned.cut for case in cases),
        effect=sum(effects) / len(effects),
        low=low,
        high=high,
        retention=retention,
    )


def interval(effects: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean effect: percentiles of the means of resampled cases.

    Whole cases are drawn, so the pairing of the two sides is kept. Negated effects give the negated interval.
    """
    draw = random.Random(len(effects))  # noqa: S311 - the same every time, on purpose
    means = sorted(sum(draw.choices(effects, k=len(effects))) / len(effects) for _ in range(RESAMPLES))
    outside = round(RESAMPLES * (1 - CONFIDENCE) / 2)
    return means[outside - 1], means[RESAMPLES - outside]


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)


def agreed(directions: Iterable[int]) -> Outcome:
    """One direction out of several (1, 0, −1): mixed where they contradict each other, same where none has one."""
    signs = {direction for direction in directions if direction}
    if len(signs) > 1:
        return "mixed"
    return "same" if not signs else ("better" if signs.pop() > 0 else "worse")


def outcome_word(outcome: Outcome, *, sure: bool) -> str:
    """The outcome in a word, untranslated."""
    return _WORDS[outcome] if sure else _UNSURE_WORDS.get(outcome, _WORDS[outcome])


def points(share: float) -> float:
    """Of a hundred, as people are told: to one decimal."""
    return round(100 * share, 1)


def signed(number: float) -> str:
    """+7, −0.5, ±0: with a real minus."""
    return f"+{number:g}" if number > 0 else (f"−{-number:g}" if number else "±0")
