"""A run on all the suites it was judged on: one verdict in the colour of its worst suite, and what to do next."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.scoring.scores import RETENTION_WARNING
from app.scoring.verdict import FEWEST_CASES, LEVELS, Level, Outcome, SuiteVerdict, agreed, outcome_word
from app.sentences import N_, Sentence

# Answers that run into the token limit beyond those of the base model: so many, or this share, tell of a missing end.
_MORE_CUT: Final = 2
_SHARE_MORE_CUT: Final = 1 / 8


@dataclass(frozen=True)
class Advice:
    """What to do next: a code for programs, a sentence with its reason for people."""

    code: str
    sentence: Sentence


@dataclass(frozen=True)
class RunVerdict:
    """The newest verdict of each suite; `loss_rose`: the run's held-out loss is above its base model's."""

    suites: tuple[SuiteVerdict, ...]
    loss_rose: bool = False

    @property
    def outcome(self) -> Outcome:
        """Which way the suites point; mixed where they contradict each other."""
        outcomes = {suite.outcome for suite in self.suites}
        if "mixed" in outcomes:
            return "mixed"
        return agreed({"better": 1, "worse": -1}.get(outcome, 0) for outcome in outcomes)

    @property
    def level(self) -> Level:
        """That of the worst suite."""
        return max((suite.level for suite in self.suites), key=LEVELS.index, default="unclear")

    @property
    def word(self) -> str:
        """The verdict in a word or a few, untranslated."""
        trained_for, general = self._of("sales"), self._of("general")
        if general.outcome == "worse" and trained_for.outcome == "better":
            sure = any(suite.sure for suite in trained_for.suites)
            return (
                N_("Better, but weaker in general") if sure else N_("Perhaps better, but weaker in general")
            )
        if general.outcome == "worse" and trained_for.outcome == "same":
            return N_("Weaker in general")
        decisive = trained_for if trained_for.suites and general.outcome != "mixed" else self
        return outcome_word(decisive.outcome, sure=any(suite.sure for suite in decisive.suites))

    @property
    def advice(self) -> tuple[Advice, ...]:
        """What to do next, the gravest first."""
        return tuple(Advice(code, Sentence(template)) for code, applies, template in RULES if applies(self))

    def _of(self, kind: str) -> "RunVerdict":
        return RunVerdict(tuple(suite for suite in self.suites if suite.kind == kind))


def _has(kind: str, *outcomes: Outcome) -> Callable[[RunVerdict], bool]:
    return lambda run: any(suite.kind == kind and suite.outcome in outcomes for suite in run.suites)


def _lacks(kind: str) -> Callable[[RunVerdict], bool]:
    return lambda run: bool(run.suites) and all(suite.kind != kind for suite in run.suites)


def _forgets(run: RunVerdict) -> bool:
    kept = [suite.retention for suite in run.suites if suite.retention is not None]
    return any(share < RETENTION_WARNING for share in kept)


def _runs_on(run: RunVerdict) -> bool:
    return any(
        suite.cut_after - suite.cut_before >= max(_MORE_CUT, suite.cases * _SHARE_MORE_CUT)
        for suite in run.suites
    )


def _unsure(run: RunVerdict) -> bool:
    return any(suite.kind == "sales" and suite.outcome == "better" and not suite.sure for suite in run.suites)


def _good(run: RunVerdict) -> bool:
    return run.level == "good" and not (_lacks("sales")(run) or _lacks("general")(run))


# Code, when it applies, and what to do with the reason; the gravest first.
RULES: Final[tuple[tuple[str, Callable[[RunVerdict], bool], str], ...]] = (
    (
        "forgetting",
        _forgets,
        N_(
            "Too much general ability is gone: mix general conversations into the dataset, "
            "lower the learning rate, or train fewer epochs."
        ),
    ),
    (
        "weaker_in_general",
        lambda run: not _forgets(run) and _has("general", "worse", "mixed")(run),
        N_("It lost some general ability: mix general conversations into the dataset."),
    ),
    (
        "worse",
        _has("sales", "worse"),
        N_(
            "It answers what it was trained for worse than before: read the cases that got worse, compare them "
            "with the dataset, then train with a lower learning rate or fewer epochs."
        ),
    ),
    (
        "mixed",
        _has("sales", "mixed"),
        N_("Cases and checks point different ways: read the cases that got worse before you decide."),
    ),
    (
        "no_difference",
        _has("sales", "same"),
        N_("Training changed little: add conversations of the kind you want, or train more epochs."),
    ),
    (
        "overfitted",
        lambda run: run.loss_rose,
        N_(
            "The held-out loss is above the base model's: it learned by heart. "
            "Train fewer epochs or lower the learning rate."
        ),
    ),
    (
        "runs_on",
        _runs_on,
        N_(
            "More answers run into the token limit than before: look in the mask check whether the end of turn is trained."
        ),
    ),
    (
        "few_cases",
        lambda run: any(suite.cases < FEWEST_CASES for suite in run.suites),
        N_("There are too few cases: judge it on a suite with more prompts as well."),
    ),
    (
        "unsure",
        _unsure,
        N_("The gain may be chance: read the answers, and judge it on another suite as well."),
    ),
    (
        "no_general",
        _lacks("general"),
        N_("Judge it on a suite of general ability too: nothing says yet what it forgot."),
    ),
    (
        "no_target",
        _lacks("sales"),
        N_("Judge it on a sales suite too: nothing says yet whether it does what it was trained for."),
    ),
    ("ready", _good, N_("It is better and forgot nothing: try it in the chat, then download its files.")),
)
