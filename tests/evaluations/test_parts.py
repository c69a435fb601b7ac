"""A part of a suite: chosen evenly, as much as was asked for and as the machine answers in the time."""

from itertools import pairwise
from typing import Any

from app.evaluations.documents import CaseLimits
from app.evaluations.parts import evenly, plan_cases


def test_places_are_spread_evenly_in_order_and_each_once() -> None:
    for of in range(1, 40):
        for count in range(1, of + 1):
            places = evenly(of, count)
            gaps = {after - before for before, after in pairwise(places)}
            assert places == sorted(set(places))
            assert (len(places), places[0] >= 0, places[-1] < of) == (count, True, True)
            assert not gaps or max(gaps) - min(gaps) <= 1


def test_as_many_cases_as_the_time_allows_and_at_least_one() -> None:
    def seconds_of(places: list[int]) -> float:
        return 10.0 * len(places)

    def planned(spent: float = 0.0, **limits: Any) -> tuple[int, str]:
        plan = plan_cases(20, CaseLimits(**limits), seconds_of, spent=spent)
        return len(plan.places), plan.why.english() if plan.why else ""

    assert planned() == (20, "")
    assert planned(max_minutes=4) == (20, "")
    assert planned(max_minutes=4, max_cases=50) == (20, "")
    assert planned(max_cases=12) == (12, "12 of 20 cases, chosen evenly, as was asked for.")
    assert planned(max_cases=12, max_minutes=3)[0] == 12
    count, why = planned(max_cases=12, max_minutes=1, spent=5)
    assert (count, why.startswith("5 of 20 cases, chosen evenly: on this machine")) == (5, True)
    assert "about 3.4 minutes, and 1.0 were allowed" in why
    assert planned(max_minutes=0.01)[0] == 1
