"""Sample answers while a run trains: which prompts, what is told of them, and that no number of the run changes."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from app.diagnosis import FindingCode, diagnose
from tests.diagnosis.studies import ANSWERING, STUDIES, Study, record_of, run_study, settings_of
from tests.worker.conftest import Recorder

SHORT = dataclasses.replace(
    STUDIES["prices"], training=16, held_out=6, config={"max_steps": 4, "eval_steps": 2, "lora_dropout": 0.1}
)


def losses(told: Recorder) -> list[object]:
    return [(event["step"], event["loss"], event["grad_norm"]) for event in told.of("metric")] + [
        (event["step"], event["eval_loss"]) for event in told.of("eval")
    ]


def changed(study: Study, **config: object) -> Study:
    return dataclasses.replace(study, config={**study.config, **config})


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_a_run_that_is_asked_has_the_very_losses_of_one_that_is_not(tmp_path: Path) -> None:
    plain = run_study(SHORT, tmp_path / "plain")
    torch.set_num_threads(2)  # lanes leave fewer to the thread between them
    asked = run_study(changed(SHORT, sample_count=2), tmp_path / "asked")
    assert losses(asked) == losses(plain)
    assert (plain.of("sample"), asked.of("log")) == ([], plain.of("log"))
    # before the first step, at each measurement, once at the end; other answers as it learns
    assert [(event["step"], event["prompt"]) for event in asked.of("sample")] == [
        (step, prompt) for step in (0, 2, 4) for prompt in (0, 1)
    ]
    first = asked.of("sample")[0]
    assert first["asked"].startswith("What does the ")
    assert first["expected"].startswith("For ")
    assert first["conversation_id"] == 117
    assert 0 < first["tokens"] <= 64


def test_ones_own_prompts_and_without_held_out_conversations_those_of_the_sales_suite(tmp_path: Path) -> None:
    brief = {"max_steps": 1, "sample_count": 2}
    own = run_study(changed(SHORT, **brief, sample_prompts="Hello?\n\nHow much is it?"), tmp_path / "own")
    assert [event["asked"] for event in own.of("sample") if event["step"] == 1] == [
        "Hello?",
        "How much is it?",
    ]
    nothing_held_out = dataclasses.replace(changed(SHORT, **brief), held_out=0)
    suite = run_study(nothing_held_out, tmp_path / "suite").of("sample")
    assert [(event["step"], event["prompt"]) for event in suite] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(event["expected"] is None and event["asked"] for event in suite)


@pytest.mark.parametrize("name", ANSWERING)
def test_a_run_that_learns_answers_by_heart_or_one_for_all_is_told_by_its_answers(
    name: str, tmp_path: Path
) -> None:
    study = ANSWERING[name]
    told = run_study(study, tmp_path / "run")
    found = [finding.code for finding in diagnose(record_of(told), settings_of(study))]
    assert study.wrong in found
    other = {FindingCode.PARROTING, FindingCode.LOSS_OF_DIVERSITY} - {study.wrong}
    assert not other & set(found)


def test_a_run_that_learns_a_pattern_is_not_told_to_parrot_or_to_be_uniform(tmp_path: Path) -> None:
    told = run_study(changed(STUDIES["prices"], sample_count=4), tmp_path / "run")
    assert len({event["step"] for event in told.of("sample")}) > 1
    assert diagnose(record_of(told), settings_of(STUDIES["prices"])) == []
