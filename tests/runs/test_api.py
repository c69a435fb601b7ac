"""Runs over REST."""

import re

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs.models import JobState
from tests.runs.under_way import end, running
from tests.support.people import Person
from tests.support.training import make_check, make_model, make_version, metric

pytestmark = pytest.mark.usefixtures("silent_bell")


def test_the_curves_of_the_api_are_columns_up_to_an_event(
    app: FastAPI, annotator: Person, storage: Storage
) -> None:
    run_id = running(app, storage, metric(1, 3.0), metric(2, 2.5), ("eval", {"step": 2, "eval_loss": 2.75}))
    body = annotator.api.get(f"/api/v1/runs/{run_id}/curves").json()
    assert (body["step"], body["loss"], body["eval_step"], body["eval_loss"]) == (
        [1, 2],
        [3.0, 2.5],
        [2],
        [2.75],
    )
    assert body["last_seq"] == 6
    with transaction(app.state.engine) as session:
        end(session, run_id, JobState.CANCELLED)
    stream = annotator.browser.get(f"/api/v1/runs/{run_id}/events?after={body['last_seq']}").text
    assert re.findall(r"event: (\w+)", stream) == ["state", "end"]


def test_rest_starts_once_by_idempotency_key(app: FastAPI, engineer: Person, storage: Storage) -> None:
    with transaction(app.state.engine) as session:
        make_check(session, storage)
    body = {"mask_check_id": 1, "confirmed": True, "recipe": "quick", "evaluate_with": ["sales-en"]}
    first = engineer.api.post("/api/v1/runs", json=body, headers={"Idempotency-Key": "ci-1"})
    second = engineer.api.post("/api/v1/runs", json=body, headers={"Idempotency-Key": "ci-1"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    wrong = engineer.api.post("/api/v1/runs", json={**body, "changes": {"lora_r": "x", "seed": -1}})
    assert wrong.status_code == 422
    assert [error["field"] for error in wrong.json()["errors"]] == ["seed", "lora_r"]
    unknown = engineer.api.post("/api/v1/runs", json={**body, "evaluate_with": ["x"]})
    assert (unknown.status_code, unknown.json()["field"]) == (422, "evaluate_with")


def test_rest_refuses_unknown_mask_settings_by_name(app: FastAPI, engineer: Person, storage: Storage) -> None:
    with transaction(app.state.engine) as session:
        make_version(session, storage)
        make_model(session)
    body = {"dataset_version_id": 1, "base_model_id": 1}
    for settings in ({"train_on": "user"}, {"max_len": 5}, {"max_length": 0}):
        response = engineer.api.post("/api/v1/mask-checks", json={**body, "settings": settings})
        assert response.status_code == 422
        assert next(iter(settings)) in response.text
    asked = engineer.api.post("/api/v1/mask-checks", json={**body, "settings": {"max_length": 512}})
    assert (asked.status_code, asked.json()["settings"]["train_on"]) == (201, "assistant")
    # Without a limit what the model cannot read is cut, and the report counts it.
    unlimited = engineer.api.post("/api/v1/mask-checks", json=body)
    assert unlimited.json()["settings"]["max_length"] == 4096
