"""The verdict on a suite: a failed check is never better, numbers and words agree, and it says how sure it is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.scoring.checks import run_checks
from app.scoring.findings import Exchange
from app.scoring.scores import score_answer
from app.scoring.suites import built_in_suites
from app.scoring.verdict import FEWEST_CASES, Case, Side, SuiteVerdict, interval, judge_suite

TITLE = {"en": "Sales", "zh": "销售"}


def case(before: int, after: int, checks: int = 4, *, scores: tuple[float, float] = (0.5, 0.5)) -> Case:
    return Case(Side(before, checks, scores[0]), Side(after, checks, scores[1]))


def judged(*cases: Case, kind: str = "sales") -> SuiteVerdict:
    return judge_suite(kind, TITLE, cases)  # type: ignore[arg-type]


@st.composite
def any_case(draw: st.DrawFn) -> Case:
    checks = draw(st.integers(0, 5))
    sides = [
        Side(draw(st.integers(0, checks)), checks, draw(st.floats(0, 1)), draw(st.booleans())) for _ in "bt"
    ]
    return Case(*sides)


cases = st.lists(any_case(), min_size=1, max_size=24)
OPPOSITE = {"better": "worse", "worse": "better", "mixed": "mixed", "same": "same"}


@given(cases)
@settings(max_examples=60)
def test_exchanging_the_sides_negates_the_verdict(them: list[Case]) -> None:
    one = judged(*them)
    other = judged(*(Case(case.tuned, case.base) for case in them))
    assert (one.wins, one.losses, one.ties) == (other.losses, other.wins, other.ties)
    assert (one.checks_before, one.cut_before) == (other.checks_after, other.cut_after)
    assert one.effect == -other.effect
    assert one.outcome == OPPOSITE[other.outcome]
    assert one.sure == other.sure
    if one.low is not None and other.high is not None:
        assert (one.low, one.high) == (-other.high, -(other.low or 0))


@given(cases, st.integers(1, 40), st.integers(0, 4))
@settings(max_examples=40)
def test_cases_in_which_nothing_changed_do_not_turn_a_verdict(
    them: list[Case], more: int, passed: int
) -> None:
    assert judged(*them, *[case(passed, passed)] * more).outcome == judged(*them).outcome


@given(cases)
@settings(max_examples=40)
def test_counts_add_up_and_the_words_hold_them(them: list[Case]) -> None:
    verdict = judged(*them)
    assert verdict.wins + verdict.losses + verdict.ties == verdict.cases == len(them)
    said = verdict.headline("Sales").english()
    assert f"({verdict.wins}–{verdict.losses}, " in said
    gained = verdict.checks_after - verdict.checks_before
    assert (f"+{gained} checks" in said) == (gained > 0)
    if said.startswith("Better"):
        assert verdict.wins >= verdict.losses
        assert gained >= 0
    if verdict.sure:
        assert "±0" not in verdict.certainty().english()
    assert verdict == judged(*them)


def test_a_bound_that_is_told_as_nothing_is_not_more_than_chance() -> None:
    verdict = SuiteVerdict.model_validate({**judged(*[case(1, 2)] * 12).model_dump(), "low": 0.0004})
    assert (verdict.outcome, verdict.sure) == ("better", False)
    assert "±0 to" in verdict.certainty().english()
    assert "may be chance" in verdict.certainty().english()


@given(st.integers(1, 5), st.floats(0, 1), st.floats(0, 1), st.integers(0, 5))
def test_no_score_makes_an_answer_better_that_fails_as_many_checks(
    checks: int, before: float, after: float, failed: int
) -> None:
    passed = max(0, checks - failed)
    change = case(passed, passed, checks, scores=(before, after)).change
    assert change == "same" or passed == checks


@pytest.mark.parametrize(
    ("scores", "change"), [((0.5, 0.59), "same"), ((0.5, 0.61), "better"), ((0.7, 0.58), "worse")]
)
def test_between_answers_that_pass_everything_small_differences_of_the_score_are_the_same(
    scores: tuple[float, float], change: str
) -> None:
    assert case(3, 3, 3, scores=scores).change == change


def side(key: str, answer: str) -> Side:
    prompt = built_in_suites()["general-en"].prompt(key)
    assert prompt is not None
    exchange = Exchange(answer, prompt.messages, "en")
    results = run_checks(prompt.checks, exchange)
    scores = score_answer(exchange, prompt.reference, results)
    return Side(sum(result.passed for result in results), len(results), scores.mean)


def test_a_wrong_answer_is_neither_better_than_another_nor_well_scored() -> None:
    fluent = "The capital of Japan is not a city, thank you for asking. It is a place with many capitals."
    wrong, right = side("capital-japan", fluent), side("capital-japan", "Tokyo.")
    nothing = side("capital-japan", "I do not know that.")
    assert Case(nothing, wrong).change == "same"
    assert Case(right, wrong).change == "worse"
    assert wrong.score == 0
    week = side(
        "days-week", "Thank you for asking. There are 512 days in a week, seventy-three of them free."
    )
    assert week.passed == 0
    assert week.score == 0


def test_a_mean_that_leans_alone_is_no_difference() -> None:
    even = judged(
        *[case(1, 2)] * 3,
        *[case(3, 2)] * 2,
        case(1, 0),
        *[case(4, 4)] * 4,
    )
    assert (even.wins, even.losses, even.checks_after - even.checks_before) == (3, 3, 0)
    leaning = judged(
        *[case(1, 2, 2)] * 3,
        *[case(3, 2, 4)] * 3,
        *[case(4, 4)] * 4,
    )
    assert (leaning.wins, leaning.losses, leaning.checks_after - leaning.checks_before) == (3, 3, 0)
    assert leaning.effect > 0
    assert (even.outcome, leaning.outcome) == ("same", "same")
    assert leaning.headline("Sales").english() == "No difference on Sales (3–3, ±0 checks)"


def test_an_interval_is_the_same_every_time_and_few_cases_have_none() -> None:
    effects = [0.5, 0.25, -0.25, 0.0] * 4
    assert interval(effects) == interval(effects)
    low, high = interval(effects)
    assert low < sum(effects) / len(effects) < high
    few = judged(*[case(0, 4)] * (FEWEST_CASES - 1))
    assert few.low is None
    assert not few.sure
    assert "Only 9 cases" in few.certainty().english()


def test_sure_and_unsure_gains_are_told_apart() -> None:
    clear = judged(*[case(1, 3)] * 14, *[case(3, 2)] * 2)
    assert (clear.outcome, clear.sure, clear.level) == ("better", True, "good")
    assert clear.headline("Sales").english() == "Better on Sales (14–2, +26 checks)"
    assert "more than chance" in clear.certainty().english()
    better_put = judged(*[case(4, 4, scores=(0.5, 0.7))] * 12, *[case(4, 4)] * 8)
    assert better_put.headline("Sales").english() == "Better on Sales (12–0, ±0 checks)"
    assert "points of 100" in better_put.certainty().english()
    narrow = judged(*[case(1, 2)] * 9, *[case(2, 1)] * 7)
    assert (narrow.outcome, narrow.sure, narrow.level) == ("better", False, "unclear")
    assert "may be chance" in narrow.certainty().english()


def test_general_ability_is_good_when_kept_and_amber_when_some_is_lost() -> None:
    kept = judged(*[case(1, 1, 1)] * 12, *[case(0, 0, 1)] * 8, kind="general")
    assert (kept.outcome, kept.level) == ("same", "good")
    losing = [case(1, 0, 1)] * 6 + [case(0, 1, 1)] * 3 + [case(1, 1, 1)] * 11
    lost = judge_suite("general", {"en": "General", "zh": "通用"}, losing, 14 / 17)
    assert (lost.outcome, lost.level) == ("worse", "warning")
    assert lost.headline("General").english() == "Weaker on General (3–6, −3 checks)"
    gone = judge_suite("general", {"en": "General", "zh": "通用"}, losing, 0.5)
    assert gone.level == "bad"


def test_a_suite_without_pairs_of_answers_has_no_verdict() -> None:
    with pytest.raises(ValueError, match="no verdict"):
        judged()
