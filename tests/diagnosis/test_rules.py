"""Each rule finds the fault that a run was made to have, and is silent over every healthy curve, from its first point on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.diagnosis import EvalPoint, FindingCode, Record, SampleAnswer, TrainPoint, diagnose
from app.recipes.config import TrainingConfig
from tests.diagnosis.studies import STUDIES, kept, record_of, run_study, settings_of

HEALTHY = [name for name, study in STUDIES.items() if study.wrong is None]
FAILING = [name for name, study in STUDIES.items() if study.wrong is not None]
USUAL = settings_of(STUDIES["prices"])


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def as_it_went(record: Record) -> Iterator[Record]:
    """What a page saw after each training point."""
    for place, point in enumerate(record.train, 1):
        evals = [one for one in record.evals if one.step <= point.step]
        yield Record(record.train[:place], evals, total_steps=record.total_steps, broke_at=None)


def test_there_are_twenty_healthy_curves() -> None:
    assert len(HEALTHY) >= 20


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_curve_raises_no_alarm_at_any_of_its_steps(name: str) -> None:
    found = [finding for seen in as_it_went(kept(name)) for finding in diagnose(seen, USUAL)]
    assert found == []


@pytest.mark.parametrize("name", FAILING)
def test_a_curve_of_each_fault_is_told_with_its_place_its_numbers_and_a_remedy(name: str) -> None:
    record, settings = kept(name), settings_of(STUDIES[name])
    (finding,) = diagnose(record, settings)
    assert finding.code == STUDIES[name].wrong
    steps = {0, *(point.step for point in record.train)}
    assert {finding.step, *(one.step for one in finding.evidence)} <= steps
    assert len(finding.evidence) >= 2
    # a config that the changes can be made to, each of them a change
    TrainingConfig.model_validate(dict(finding.changes))
    assert finding.changes
    assert all(getattr(settings, field) != value for field, value in finding.changes.items())


@pytest.mark.parametrize("name", FAILING)
def test_a_run_trained_now_to_fail_is_told_as_the_recorded_one(name: str, tmp_path: Path) -> None:
    told = run_study(STUDIES[name], tmp_path / "run")
    found = diagnose(record_of(told), settings_of(STUDIES[name]))
    assert [finding.code for finding in found] == [STUDIES[name].wrong]


def test_a_run_trained_now_that_goes_well_raises_no_alarm(tmp_path: Path) -> None:
    for name in ("prices", "talk-short"):
        assert diagnose(record_of(run_study(STUDIES[name], tmp_path / name)), USUAL) == []


def joined(first: Record, then: Record) -> Record:
    """A curriculum whose data change from those of one recorded run to those of another; held-out losses of the second alone."""
    switch = first.train[-1].step
    train = [*first.train, *(point._replace(step=point.step + switch) for point in then.train)]
    begins = then.evals[0].loss if then.evals else None
    evals = [EvalPoint(point.step, begins) for point in first.evals]
    evals += [point._replace(step=point.step + switch) for point in then.evals[1:]]
    total = switch + (then.total_steps or 0)
    return Record(train, evals, total_steps=total, switches_at=switch)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("talk", "prices"),
        ("prices", "talk"),
        ("prices-slow", "talk-seed"),
        ("talk-batch-1", "prices-batch-1"),
    ],
)
def test_data_that_change_on_the_way_raise_no_alarm_at_any_step_and_hide_no_fault(
    first: str, then: str
) -> None:
    record = joined(kept(first), kept(then))
    seen = [replace(one, switches_at=record.switches_at) for one in as_it_went(record)]
    assert [finding for one in seen for finding in diagnose(one, USUAL)] == []
    # To about a step it is known.
    for off in (-1, 1):
        assert diagnose(replace(record, switches_at=(record.switches_at or 0) + off), USUAL) == []
    # What goes wrong in either stretch is told all the same: of the first one by its training loss alone.
    for name in ("explosion", "fall-then-rise"):
        (told,) = diagnose(joined(kept(name), kept(then)), USUAL)
        assert told.code == STUDIES[name].wrong
    for name in ("overfitting", "oscillation", "no-decrease", "fall-then-rise"):
        (told,) = diagnose(joined(kept(first), kept(name)), USUAL)
        assert told.code == STUDIES[name].wrong


def test_overfitting_is_drawn_at_the_best_loss_and_ends_the_new_run_there() -> None:
    train = [TrainPoint(step, 4 - step / 20, epoch=step / 10) for step in range(1, 61)]
    evals = [EvalPoint(step, loss) for step, loss in [(0, 4.0), (20, 3.0), (40, 3.2), (60, 3.5)]]
    (finding,) = diagnose(Record(train, evals, total_steps=60), USUAL)
    assert (finding.code, finding.step, finding.curve) == (FindingCode.OVERFITTING, 20, "eval_loss")
    assert [(one.step, one.value) for one in finding.evidence[:2]] == [(20, 3.0), (60, 3.5)]
    assert finding.changes == {"lora_dropout": 0.1, "early_stopping_patience": 3, "num_train_epochs": 2.0}


def test_one_measurement_above_the_best_is_no_overfitting_yet() -> None:
    train = [TrainPoint(step, 4 - step / 20) for step in range(1, 41)]
    evals = [EvalPoint(step, loss) for step, loss in [(0, 4.0), (20, 3.0), (40, 3.5)]]
    assert diagnose(Record(train, evals, total_steps=60), USUAL) == []


def test_a_loss_that_is_no_number_is_an_explosion_at_its_step() -> None:
    record = Record([TrainPoint(1, 3.0), TrainPoint(2, None)], broke_at=2)
    (finding,) = diagnose(record, USUAL)
    assert (finding.code, finding.step) == (FindingCode.EXPLOSION, 2)
    assert finding.changes["learning_rate"] == pytest.approx(USUAL.learning_rate / 10)


@pytest.mark.parametrize("points", [0, 1, 2, 7])
def test_too_little_to_tell_is_no_finding(points: int) -> None:
    flat = [TrainPoint(step, 3.0) for step in range(1, points + 1)]
    assert diagnose(Record(flat, [EvalPoint(0, 3.0)][:points], total_steps=points), USUAL) == []


def answers(step: int, *texts: str, copied: float | None = None) -> list[SampleAnswer]:
    return [SampleAnswer(step, prompt, text, copied) for prompt, text in enumerate(texts)]


VARIED = (
    "It depends on how many of you there are.",
    "What would it have to do for you?",
    "Let me look that up and write to you.",
    "That is a fair point about the price.",
)


def test_parroting_is_answers_that_the_training_set_holds_and_the_base_did_not_give() -> None:
    samples = [*answers(0, *VARIED, copied=0.1), *answers(10, *VARIED, copied=0.4)]
    assert diagnose(Record(samples=samples), USUAL) == []
    samples += [*answers(20, *VARIED, copied=0.9), *answers(30, *VARIED, copied=1.0)]
    (finding,) = diagnose(Record(samples=samples), USUAL)
    assert (finding.code, finding.step) == (FindingCode.PARROTING, 20)
    assert [(one.step, one.value) for one in finding.evidence] == [(0, 0.1), (20, 0.9), (30, 1.0)]
    told_at_once = [*answers(0, *VARIED, copied=0.9), *answers(10, *VARIED, copied=0.9)]
    assert diagnose(Record(samples=told_at_once), USUAL) == []


def test_one_answer_to_different_prompts_is_a_loss_of_diversity() -> None:
    samples = [*answers(0, *VARIED), *answers(10, *(["How many people would use it?"] * 3), VARIED[0])]
    (finding,) = diagnose(Record(samples=samples), USUAL)
    assert (finding.code, finding.step) == (FindingCode.LOSS_OF_DIVERSITY, 10)
    assert [one.value for one in finding.evidence] == [0.25, 0.75]
    assert diagnose(Record(samples=answers(0, *VARIED) + answers(10, *VARIED)), USUAL) == []


@pytest.mark.parametrize("again", ["the plan is the plan is ", "价格很好价格很好"])
def test_the_same_words_again_and_again_are_a_loss_of_diversity_too(again: str) -> None:
    ends = ["one", "two", "三", "four"]
    samples = [*answers(0, *VARIED), *answers(10, *(again * 8 + end for end in ends))]
    assert [finding.code for finding in diagnose(Record(samples=samples), USUAL)] == [
        FindingCode.LOSS_OF_DIVERSITY
    ]
