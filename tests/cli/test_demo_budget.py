"""The demo's ten minutes, on machines of every speed."""

import pytest

from app.cli.demo.budget import EVALUATION, MINUTES, TRAINING, Budget


class Clock:
    def __init__(self) -> None:
        self.minutes = 0.0

    def __call__(self) -> float:
        return self.minutes * 60


@pytest.mark.parametrize("slowness", [1, 2, 3, 4])
def test_whatever_the_speed_the_sum_is_ten_minutes_at_most(slowness: int) -> None:
    """Preparing takes twenty seconds at best; libraries and weights a third of a minute before a run, five seconds before
    an evaluation; each job uses the whole of its budget."""
    clock = Clock()
    budget = Budget(clock)
    clock.minutes += 20 / 60 * slowness
    training = budget.training(2)
    clock.minutes += 15 / 60 * slowness + training
    evaluations = []
    for still_to_come in (2, 1):
        evaluations.append(budget.evaluation(still_to_come))
        clock.minutes += 5 / 60 * slowness + evaluations[-1]
    assert clock.minutes <= MINUTES
    assert training > TRAINING / 2
    assert min(evaluations) > EVALUATION / 2


def test_a_quick_machine_trains_and_answers_as_much_as_is_worth_it() -> None:
    clock = Clock()
    budget = Budget(clock)
    clock.minutes = 0.3
    assert (budget.training(2), budget.evaluation(2)) == (TRAINING, EVALUATION)


def test_a_job_that_comes_too_late_still_has_a_little() -> None:
    clock = Clock()
    budget = Budget(clock)
    clock.minutes = 2 * MINUTES
    assert budget.training(2) == budget.evaluation(1) == 0.25
