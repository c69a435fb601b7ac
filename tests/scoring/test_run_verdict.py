"""The verdict on a run: all suites in one word, the colour of the worst, and something to do with its reason."""

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scoring.run_verdict import RunVerdict
from app.scoring.verdict import LEVELS, Case, Side, SuiteVerdict, judge_suite


def suite(kind: Literal["sales", "general"], gained: int, **changes: Any) -> SuiteVerdict:
    """Twenty cases of one check, of which so many were gained, or lost where negative."""
    lost = Case(Side(1, 1, 0.5), Side(0, 1, 0.0))
    won = Case(lost.tuned, lost.base)
    same = Case(lost.base, lost.base)
    moved = [won if gained > 0 else lost] * abs(gained)
    verdict = judge_suite(kind, {"en": kind, "zh": kind}, [*moved, *[same] * (20 - len(moved))])
    return verdict.model_copy(update=changes)


@pytest.mark.parametrize(
    ("suites", "loss_rose", "word", "level", "advice"),
    [
        ([suite("sales", 9), suite("general", 0)], False, "Better", "good", ["ready"]),
        (
            [suite("sales", 9), suite("general", -3, retention=0.81)],
            False,
            "Better, but weaker in general",
            "warning",
            ["weaker_in_general"],
        ),
        (
            [suite("sales", 9), suite("general", -12, retention=0.4)],
            False,
            "Better, but weaker in general",
            "bad",
            ["forgetting"],
        ),
        (
            [suite("sales", 2), suite("general", -3, retention=0.81)],
            False,
            "Perhaps better, but weaker in general",
            "warning",
            ["weaker_in_general", "unsure"],
        ),
        ([suite("sales", 0), suite("general", -3)], False, "Weaker in general", "warning", None),
        ([suite("sales", -9), suite("general", 2)], True, "Worse", "bad", ["worse", "overfitted"]),
        ([suite("sales", 2)], False, "Perhaps better", "unclear", ["unsure", "no_general"]),
        ([suite("general", 0)], False, "No difference", "good", ["no_target"]),
        ([suite("sales", 9), suite("sales", -9), suite("general", 0)], False, "Mixed", "bad", ["worse"]),
        (
            [suite("sales", 9, cut_after=4), suite("general", 0)],
            False,
            "Better",
            "good",
            ["runs_on", "ready"],
        ),
        ([], False, "No difference", "unclear", []),
    ],
)
def test_the_word_the_colour_and_what_to_do_follow_from_the_suites(
    suites: list[SuiteVerdict], loss_rose: bool, word: str, level: str, advice: list[str] | None
) -> None:
    run = RunVerdict(tuple(suites), loss_rose)
    assert run.word == word
    assert run.level == level
    if advice is not None:
        assert [one.code for one in run.advice] == advice


@given(
    st.lists(
        st.tuples(st.sampled_from(["sales", "general"]), st.integers(-20, 20), st.floats(0.1, 1.5)),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_a_run_is_as_bad_as_its_worst_suite_and_there_is_always_something_to_do(
    drawn: list[tuple[Any, int, float]], loss_rose: bool
) -> None:
    suites = [
        suite(kind, gained, retention=kept if kind == "general" else None) for kind, gained, kept in drawn
    ]
    run = RunVerdict(tuple(suites), loss_rose)
    assert LEVELS.index(run.level) == max(LEVELS.index(one.level) for one in suites)
    assert run.advice
    assert ("ready" in [one.code for one in run.advice]) <= (run.level == "good")
