"""A run that begins with the adapter of an earlier one: what fits, what is taken over, what is said of it."""

from typing import Any

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.models import JobState
from app.runs.models import Run
from app.runs.result import RunResult
from app.runs.service import require_run
from tests.support.people import Person, visible_text
from tests.support.training import make_model, make_run, run_result

pytestmark = pytest.mark.usefixtures("silent_bell")
SHAPE = {"lora_r": 8, "lora_alpha": 16, "lora_target_modules": "q,v", "use_rslora": True}


def ended(app: FastAPI, storage: Storage, **changes: Any) -> Run:
    """A run with an adapter, on the mask check 1."""
    with transaction(app.state.engine) as session:
        run, job = make_run(session, storage, name="First", changes={**SHAPE, **changes})
        claim = jobs.claim(session, job.id or 0, owner="test", lease_seconds=30)
        assert claim is not None
        jobs.finish(session, claim, JobState.SUCCEEDED, result={})
        run.result, run.adapter_key = RunResult.stored(run_result()), "jobs/9/1/adapter"
        session.add(run)
        session.flush()
        session.expunge(run)
    return run


def start(engineer: Person, **body: Any) -> tuple[int, dict[str, Any]]:
    response = engineer.api.post("/api/v1/runs", json={"mask_check_id": 1, "confirmed": True, **body})
    return response.status_code, response.json()


def test_base_model_and_shape_are_taken_over_and_the_rest_is_the_recipes(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    first = ended(app, storage)
    code, made = start(engineer, init_adapter=first.id, recipe="quality", changes={"learning_rate": 2e-5})
    assert code == 201, made
    assert {name: made["config"][name] for name in SHAPE} == {
        **SHAPE,
        "lora_target_modules": ["q_proj", "v_proj"],
    }
    assert made["config"]["learning_rate"] == 2e-5
    assert made["begins"] == {
        "schema_version": 1,
        "how": "adapter",
        "run_id": first.id,
        "run": "First",
        "step": 3,
        "eval_loss": 2.5,
    }
    assert start(engineer, init_adapter=first.id, changes={"lora_r": 8})[0] == 201
    for field, value in {"lora_r": 16, "use_dora": True, "load_in_4bit": True, "use_peft": False}.items():
        code, refused = start(engineer, init_adapter=first.id, changes={field: value})
        assert (code, refused["field"]) == (422, field), refused

    with transaction(app.state.engine) as session:
        child = require_run(session, made["id"])
        claim = jobs.claim(session, child.job_id, owner="test", lease_seconds=30)
        assert claim is not None
        told: list[jobs.EventData] = [("eval", {"step": 0, "eval_loss": 2.5})]  # type: ignore[list-item]
        jobs.finish(session, claim, JobState.SUCCEEDED, result={}, events=told)
        child.result, child.adapter_key = RunResult.stored(run_result(eval_loss=2.25)), "jobs/9/2/adapter"
        session.add(child)
    page = visible_text(engineer.browser.get(f"/runs/{made['id']}").text)
    assert f"The adapter of run {first.id}, step 3" in page
    assert "held-out loss 2.5000 → 2.2500" in page
    elsewhere = engineer.api.post(
        f"/api/v1/runs/{made['id']}/exports", json={"kind": "axolotl", "choices": {}}
    )
    assert (elsewhere.status_code, "began from run" in elsewhere.json()["detail"]) == (422, True)
    assert "LLaMA-Factory" not in page


def test_what_has_no_adapter_for_this_base_model_is_refused_by_field(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    first = ended(app, storage)
    waiting = start(engineer)[1]["id"]

    def refused(run_id: object, words: str) -> None:
        code, answer = start(engineer, init_adapter=run_id)
        assert (code, answer["field"], words in answer["detail"]) == (422, "init_adapter", True), answer

    refused(99, "no run 99")
    refused(waiting, "has no adapter")
    with transaction(app.state.engine) as session:
        run = require_run(session, first.id or 0)
        run.base_model_id = make_model(session, name="other").id or 0
        session.add(run)
    refused(first.id, "another base model")


def test_the_form_says_what_it_begins_with_and_locks_the_shape(
    app: FastAPI, engineer: Person, annotator: Person, storage: Storage
) -> None:
    first = ended(app, storage)
    assert "Train further" in visible_text(engineer.browser.get(f"/runs/{first.id}/actions").text)
    assert "Train further" not in visible_text(annotator.browser.get(f"/runs/{first.id}/actions").text)
    address = f"/runs/new?like={first.id}&init_adapter={first.id}"
    html = engineer.browser.get(address).text
    assert "Training goes on with the weights of run" in visible_text(html)
    assert 'name="lora_r" value="8"' in html
    assert f'name="init_adapter" value="{first.id}"' in html
    assert html.count(" readonly") >= 3
    wrong = engineer.browser.get(f"/runs/new?like={first.id}&init_adapter=99").text
    assert "There is no run 99 to begin from." in visible_text(wrong)
