"""REST of sweeps: all runs or none, exactly once; each goes its own way, and the best is told."""

from typing import Any

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from tests.runs.sweeps.conftest import RATES, check_id, start, tell
from tests.runs.test_pace import finished
from tests.runs.under_way import runs
from tests.support.people import Person, problem_of, visible_text

__all__ = ["check_id"]
pytestmark = pytest.mark.usefixtures("silent_bell")
TIED = {"fields": ["lora_r", "lora_alpha"], "values": [[16, 32], [64, 128], [8, 8]]}


def test_every_combination_becomes_a_run_and_the_same_key_again_finds_them(
    app: FastAPI, engineer: Person, check_id: int
) -> None:
    body = {"axes": [RATES, TIED], "changes": {"seed": 7}, "name": "Rates", "recipe": "quick"}
    made = start(engineer, check_id, key="once", **body)
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["name"], told["is_over"], told["best_run_id"], len(told["runs"])) == (
        "Rates",
        False,
        None,
        6,
    )
    assert told["runs"][1]["values"] == {"learning_rate": "2e-5", "lora_r": "64", "lora_alpha": "128"}
    found = runs(app)
    assert {run.sweep_id for run in found} == {told["id"]}
    assert {run.config.seed for run in found} == {7}
    assert [(run.config.learning_rate, run.config.lora_r, run.config.lora_alpha) for run in found[:4]] == [
        (2e-5, 16, 32),
        (2e-5, 64, 128),
        (2e-5, 8, 8),
        (5e-5, 16, 32),
    ]
    assert found[0].name == "Rates learning_rate 2e-5, lora_r 16, lora_alpha 32"
    again = start(engineer, check_id, key="once", **body)
    assert (again.status_code, again.json()["id"], len(runs(app))) == (200, told["id"], 6)
    assert engineer.api.get(f"/api/v1/runs/{found[0].id}").json()["sweep_id"] == told["id"]
    assert [one["id"] for one in engineer.api.get("/api/v1/sweeps").json()] == [told["id"]]


@pytest.mark.parametrize(
    ("body", "status", "field", "sentence"),
    [
        ({"axes": [{"fields": ["seed"], "values": [1]}]}, 422, "axes", "two runs at least"),
        ({"axes": [{"fields": ["lora_r"], "values": [8, 0]}]}, 422, "lora_r", "at least 1"),
        ({"axes": [{"fields": ["seed"], "values": [1, "1"]}]}, 422, "seed", "would be the same: seed 1"),
        ({"axes": [RATES, RATES]}, 422, "learning_rate", "varied twice"),
        (
            {"axes": [{"fields": ["seed"], "values": list(range(24))}, RATES]},
            422,
            "seed",
            "48 runs are asked for",
        ),
        ({"changes": {"learning_rate": 3e-4}}, 422, "learning_rate", "has no value of its own"),
        ({"confirmed": False}, 422, "confirmed", "Look at the mask check"),
        ({"recipe": "none"}, 422, "recipe", "There is no recipe"),
        ({"mask_check_id": 99}, 404, None, "mask check 99"),
    ],
)
def test_what_is_wrong_is_said_by_field_and_nothing_starts(
    app: FastAPI,
    engineer: Person,
    check_id: int,
    body: dict[str, Any],
    status: int,
    field: str | None,
    sentence: str,
) -> None:
    refused = start(engineer, check_id, **body)
    assert (refused.status_code, refused.json().get("field")) == (status, field), refused.text
    assert sentence in problem_of(refused)
    assert runs(app) == []
    assert engineer.api.get("/api/v1/sweeps").json() == []


def test_the_best_is_told_and_what_failed_stops_no_other_and_is_said_once(
    app: FastAPI, engineer: Person, check_id: int
) -> None:
    seeds = {"fields": ["seed"], "values": [1, 2, 3, 4]}
    sweep = start(engineer, check_id, axes=[seeds]).json()
    first, second, third, fourth = (run["run_id"] for run in sweep["runs"])
    tell(app, first, 3.5, 2.5, 2.75)
    tell(app, second, 3.5, 2.25)
    tell(app, third, 3.5, 1.5, failed=True)
    tell(app, fourth, failed=True)
    told = engineer.api.get(f"/api/v1/sweeps/{sweep['id']}").json()
    assert (told["is_over"], told["best_run_id"]) == (True, second)
    best = told["runs"][0]
    assert (best["best_eval_loss"], best["best_step"], best["last_eval_loss"]) == (2.5, 10, 2.75)
    assert [run["state"] for run in told["runs"]] == ["succeeded", "succeeded", "failed", "failed"]
    assert told["failures"] == [{"reason": "The memory is full.", "runs": 2}]


def test_what_waits_is_cancelled_or_all_of_it_is_stopped(
    app: FastAPI, engineer: Person, check_id: int
) -> None:
    sweep = start(engineer, check_id).json()
    tell(app, sweep["runs"][0]["run_id"], 2.0)
    stopped = engineer.api.post(f"/api/v1/sweeps/{sweep['id']}/stop").json()
    assert [run["state"] for run in stopped["runs"]] == ["succeeded", "cancelled"]
    again = engineer.api.post(f"/api/v1/sweeps/{sweep['id']}/stop?how=save")
    assert (again.status_code, problem_of(again)) == (409, "All of these runs have ended.")
    renamed = engineer.api.patch(f"/api/v1/sweeps/{sweep['id']}", json={"name": " Rates "})
    assert renamed.json()["name"] == "Rates"
    assert engineer.api.patch(f"/api/v1/sweeps/{sweep['id']}", json={"name": " "}).status_code == 422


def test_the_plan_adds_up_what_the_runs_take_and_starts_nothing(app: FastAPI, engineer: Person) -> None:
    with transaction(app.state.engine) as session:
        earlier = finished(session, app.state.storage, seconds=300, epoch=2.0)
        asked: dict[str, Any] = {"mask_check_id": earlier.mask_check_id}
    asked["axes"] = [{"fields": ["num_train_epochs"], "values": [2, 4]}]
    plan = engineer.api.post("/api/v1/sweeps/plan", json=asked).json()
    assert [run["steps"] for run in plan["runs"]] == [2, 4]
    assert (plan["steps"], plan["seconds"], plan["as_run"]) == (6, 300 + 600, earlier.id)
    asked["axes"] = [{"fields": ["lora_r"], "values": [0, 8]}]
    refused = engineer.api.post("/api/v1/sweeps/plan", json=asked)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "lora_r")
    assert len(runs(app)) == 1


HOT = {"fields": ["learning_rate"], "values": [5e-5, 5e-3, 8e-3]}


def test_warnings_of_every_run_are_told_together_accepted_once_and_seen_on_the_sweep(
    app: FastAPI, engineer: Person, check_id: int
) -> None:
    plan = engineer.api.post("/api/v1/sweeps/plan", json={"mask_check_id": check_id, "axes": [HOT]}).json()
    assert [run["may_start"] for run in plan["runs"]] == [True, False, False]
    assert plan["may_start"] is False
    warned = [one["message"] for run in plan["runs"] for one in run["preflight"] if one["level"] == "warning"]
    assert ["0.005" in warned[0], "0.008" in warned[1]] == [True, True]
    refused = start(engineer, check_id, axes=[HOT])
    assert (refused.status_code, refused.json()["code"]) == (409, "warnings")
    told = [(one["field"], one["message"]) for one in refused.json()["errors"]]
    assert told == [("learning_rate", message) for message in warned]
    assert runs(app) == []
    unknown = start(engineer, check_id, axes=[HOT], accepted_warnings=["all"])
    assert (unknown.status_code, unknown.json()["field"]) == (422, "accepted_warnings")

    made = start(engineer, check_id, axes=[HOT], accepted_warnings=["learning_rate"]).json()
    assert [run["accepted"] for run in made["runs"]] == [[], ["learning_rate"], ["learning_rate"]]
    page = " ".join(visible_text(engineer.browser.get(f"/sweeps/{made['id']}").text).split())
    _first, second, third = (run["run_id"] for run in made["runs"])
    for run_id, message in ((second, warned[0]), (third, warned[1])):
        assert f"Run {run_id} : {message}" in page.replace(f"Run {run_id}:", f"Run {run_id} :")
    assert page.count(f"Accepted by {engineer.actor.name}") == 1
    assert "items in order" in page
    one = engineer.api.post(
        "/api/v1/sweeps/plan",
        json={"mask_check_id": check_id, "axes": [HOT], "accepted_warnings": ["learning_rate"]},
    )
    assert one.json()["may_start"] is True


def test_the_form_shows_what_each_run_is_warned_of_with_one_tick_for_all(
    engineer: Person, check_id: int
) -> None:
    form = {
        "version": "1",
        "model": "1",
        "recipe": "standard",
        "max_length": "2048",
        "mask_check_id": str(check_id),
        "confirmed": "true",
        "learning_rate": "5e-5, 5e-3, 8e-3",
    }
    html = engineer.browser.post("/runs/new/plan", data=form, headers={"HX-Request": "true"}).text
    assert html.count('name="accepted"') == 1
    text = visible_text(html)
    assert "1 warning to accept" in text
    for said in ("0.005 is far above", "0.008 is far above", "learning_rate 5e-3"):
        assert said in text
