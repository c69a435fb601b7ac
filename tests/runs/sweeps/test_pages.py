"""The form of a new run with several values, and the page of what it started."""

import re

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.jobs import service as jobs
from app.runs.models import Run
from tests.runs.sweeps.conftest import check_id, start, tell
from tests.runs.under_way import runs
from tests.support.people import Person, visible_text

__all__ = ["check_id"]
pytestmark = pytest.mark.usefixtures("silent_bell")
HTMX = {"HX-Request": "true"}


@pytest.fixture
def form(check_id: int) -> dict[str, str]:
    """Filled in for a green check."""
    return {
        "version": "1",
        "model": "1",
        "recipe": "standard",
        "method": "lora",
        "train_on": "assistant",
        "handling": "whole",
        "max_length": "2048",
        "control_tokens": "neutralise",
        "train_reasoning": "true",
        "idempotency_key": "click-1",
        "confirmed": "true",
        "mask_check_id": str(check_id),
        "learning_rate": "2e-5, 5e-5, 1e-4",
        "together": "lora_r:lora_alpha = 16:32, 64:128",
        "name": "Rates",
    }


def test_several_values_are_planned_together_and_start_a_sweep_once(
    app: FastAPI, engineer: Person, form: dict[str, str]
) -> None:
    plan = visible_text(engineer.browser.post("/runs/new/plan", data=form, headers=HTMX).text)
    assert re.search(r"6 runs , up to [\d.]+ [MG]B of checkpoints", plan), plan
    assert "learning_rate 2e-5, lora_r 16, lora_alpha 32" in plan
    started = engineer.browser.post("/runs", data=form)
    assert (started.status_code, started.headers["location"]) == (303, "/sweeps/1")
    assert engineer.browser.post("/runs", data=form).headers["location"] == "/sweeps/1"
    assert [run.config.learning_rate for run in runs(app)] == [2e-5, 2e-5, 5e-5, 5e-5, 1e-4, 1e-4]
    run_page = engineer.browser.get("/runs/1").text
    assert 'href="/sweeps/1"' in run_page
    assert "sweep 1" in visible_text(engineer.browser.get("/runs").text)
    assert "Rates" in visible_text(engineer.browser.get("/sweeps").text)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"learning_rate": "2e-5, fast"}, "learning_rate must be a number."),
        ({"lora_r": "8"}, "lora_r is varied, so it has no value of its own"),
        ({"together": "lora_r:lora_alpha"}, "is no line such as"),
        ({"seed": "1,2,3,4,5"}, "30 runs are asked for (3 × 5 × 2), and a sweep has at most 24."),
    ],
)
def test_what_is_wrong_with_the_values_is_said_in_the_plan_and_nothing_starts(
    app: FastAPI, engineer: Person, form: dict[str, str], changes: dict[str, str], sentence: str
) -> None:
    wrong = {**form, **changes}
    assert sentence in visible_text(engineer.browser.post("/runs/new/plan", data=wrong, headers=HTMX).text)
    refused = engineer.browser.post("/runs", data=wrong)
    assert refused.status_code == 422
    assert sentence in visible_text(refused.text)
    assert 'value="2e-5' in refused.text
    assert runs(app) == []


def test_the_runs_stand_side_by_side_sorted_as_asked_with_the_best_marked(
    app: FastAPI, engineer: Person, annotator: Person, check_id: int
) -> None:
    rates = {"fields": ["learning_rate"], "values": [1e-4, 2e-5, 5e-5]}
    start(engineer, check_id, axes=[rates], name="Rates")
    tell(app, 1, 3.0, 2.5)
    tell(app, 2, 3.0, 2.25)
    page = engineer.browser.get("/sweeps/1")
    text = visible_text(page.text)
    assert "2 of 3 done, 0 under way, 1 waiting, 0 failed · best so far: run 2 with 2.2500" in text
    assert re.search(r"2 Best 2e-5 Succeeded 2.2500 at step 10", text)
    assert page.text.count('"curves": "/api/v1/runs/') == 3
    for asked, order in (
        ("learning_rate", ["2", "3", "1"]),
        ("best", ["2", "1", "3"]),
        ("best&down=true", ["1", "2", "3"]),
    ):
        table = engineer.browser.get(f"/sweeps/1?sort={asked}", headers=HTMX).text
        assert "<html" not in table
        assert re.findall(r'class="row-link" href="/runs/(\d)"', table) == order, asked
    assert 'hx-trigger="every 4s"' in page.text
    assert "/sweeps/1/stop" not in annotator.browser.get("/sweeps/1").text
    engineer.browser.post("/sweeps/1/name", data={"name": "Three rates"})
    assert "Three rates" in engineer.browser.get("/sweeps/1").text
    assert engineer.browser.post("/sweeps/1/name", data={"name": ""}).status_code == 422


def test_what_is_said_of_the_states_adds_up_to_all_runs(engineer: Person, check_id: int) -> None:
    start(engineer, check_id, axes=[{"fields": ["learning_rate"], "values": [1e-4, 2e-5, 5e-5]}])
    for run_id, verb in ((2, "stop"), (3, "pause")):
        assert engineer.api.post(f"/api/v1/runs/{run_id}/{verb}").is_success
    said = visible_text(engineer.browser.get("/sweeps/1").text)
    assert "0 of 3 done, 0 under way, 1 waiting, 0 failed, 1 paused, 1 cancelled" in said


def test_a_failure_of_all_is_said_once_and_stopping_ends_what_is_left(
    app: FastAPI, engineer: Person, check_id: int
) -> None:
    start(engineer, check_id)
    for run_id in (1, 2):
        tell(app, run_id, failed=True)
    text = visible_text(engineer.browser.get("/sweeps/1").text)
    assert "All runs failed for the same reason The memory is full." in text
    assert text.count("The memory is full.") == 1
    start(engineer, check_id, axes=[{"fields": ["seed"], "values": [1, 2]}])
    with transaction(app.state.engine) as session:
        run = session.get_one(Run, 3)
        assert jobs.claim(session, run.job_id, owner="w", lease_seconds=60) is not None
    assert engineer.browser.post("/sweeps/2/stop", data={"how": "save"}).status_code == 303
    states = [(run["state"], run["status"]) for run in engineer.api.get("/api/v1/sweeps/2").json()["runs"]]
    assert [state for state, _status in states] == ["running", "cancelled"]
    refused = engineer.browser.post("/sweeps/1/stop")
    assert (refused.status_code, "None of these runs waits" in refused.text) == (409, True)
