"""A run that begins with the adapter of an earlier one: what fits, what is taken over, what is said of it."""

from typing import Any

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.storage import Storage
from app.exports.card import adapter_style, model_card
from app.exports.handler import scores_of
from app.jobs import service as jobs
from app.jobs.models import JobState
from app.runs.handler import provenance_of
from app.runs.lineage import lineage_of
from app.runs.models import Run
from app.runs.result import RunResult
from app.runs.service import require_run
from tests.cli.conftest import LiveServer, live
from tests.support.judged import BAD, judged
from tests.support.people import Person, visible_text
from tests.support.training import make_model, make_run, run_result

__all__ = ["live"]
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


def test_its_plan_is_that_of_the_adapter_at_every_door(
    app: FastAPI, engineer: Person, storage: Storage, live: LiveServer
) -> None:
    first = ended(app, storage)
    asked = {"dataset_version_id": 1, "base_model_id": 1, "init_adapter": first.id}
    plan = engineer.api.post("/api/v1/runs/plan", json=asked).json()
    assert {name: plan["config"][name] for name in SHAPE} == {
        **SHAPE,
        "lora_target_modules": ["q_proj", "v_proj"],
    }
    assert (plan["begins"]["run_id"], plan["begins"]["step"]) == (first.id, 3)
    alone = engineer.api.post("/api/v1/runs/plan", json={**asked, "init_adapter": None}).json()
    assert (alone["begins"], alone["config"]["lora_r"]) == (None, 64)
    assert plan["memory"]["needed_bytes"] < alone["memory"]["needed_bytes"] if alone["memory"] else True
    # On what the adapter decides nothing is advised.
    assert {"lora_r", "lora_alpha"}.isdisjoint({one["field"] for one in plan["advice"]})
    for changes, init_adapter, field in (
        ({"lora_r": 16}, first.id, "lora_r"),
        ({}, 99, "init_adapter"),
        ({"backend": "trl"}, first.id, "backend"),
    ):
        refused = engineer.api.post(
            "/api/v1/runs/plan", json={**asked, "changes": changes, "init_adapter": init_adapter}
        )
        assert (refused.status_code, refused.json()["field"]) == (422, field)
    sweep = {"mask_check_id": 1, "axes": [{"fields": ["seed"], "values": [1, 2]}], "init_adapter": first.id}
    planned = engineer.api.post("/api/v1/sweeps/plan", json=sweep).json()
    assert [run["config"]["lora_r"] for run in planned["runs"]] == [8, 8]
    made = engineer.api.post("/api/v1/sweeps", json={**sweep, "confirmed": True}).json()
    assert (
        engineer.api.get(f"/api/v1/runs/{made['runs'][0]['run_id']}").json()["begins"]["run_id"] == first.id
    )

    words = ("--dataset", "Calls", "--model", "small", "--init-adapter", str(first.id))
    assert live.run("advise", *words, "--json").json["config"]["lora_r"] == 8
    assert f"The adapter of run {first.id}, step 3" in live.run("advise", *words).stdout
    assert live.run("preflight", *words).code == 0
    looked = live.run("train", *words, "--set", "max_length=2048", "--set", "lora_r=16", "--dry-run")
    assert (looked.code, "lora_r is 8 in the adapter" in looked.error) == (1, True)


def test_report_checklist_and_card_name_the_earlier_run_and_how_both_are_compared(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    first = ended(app, storage)
    second = start(engineer, init_adapter=first.id)[1]["id"]
    third = start(engineer, init_adapter=first.id)[1]["id"]
    for run_id, loss in ((second, 2.25), (third, 2.75)):
        with transaction(app.state.engine) as session:
            child = require_run(session, run_id)
            claim = jobs.claim(session, child.job_id, owner="test", lease_seconds=30)
            assert claim is not None
            told: list[jobs.EventData] = [("eval", {"step": 0, "eval_loss": 2.5})]  # type: ignore[list-item]
            jobs.finish(session, claim, JobState.SUCCEEDED, result={}, events=told)
            child.result, child.adapter_key = RunResult.stored(run_result(eval_loss=loss)), "jobs/9/2/adapter"
            session.add(child)
    earlier = judged(app, run_id=first.id, good=BAD)
    report = judged(app, run_id=second)
    page = engineer.browser.get(f"/evaluations/{report.id}").text
    text = " ".join(visible_text(page).split())
    assert "Went on from an earlier run" in text
    assert f"The adapter of run {first.id}, step 3" in text
    assert "held-out loss 2.5000 → 2.2500" in text
    assert f'href="/runs/{second}/gate?against={first.id}"' in page
    assert f'href="/evaluations/{earlier.id}"' in page
    shown = engineer.api.get(f"/api/v1/evaluations/{report.id}").json()["earlier"]
    assert (shown["run_id"], shown["losses"], shown["evaluation_id"]) == (first.id, [2.5, 2.25], earlier.id)
    before, after, of = shown["checks"]
    assert before < after <= of
    assert engineer.api.get(f"/api/v1/evaluations/{earlier.id}").json()["earlier"] is None
    assert "Went on from" not in visible_text(engineer.browser.get(f"/evaluations/{earlier.id}").text)

    for run_id, state, said in (
        (second, "pass", "from 2.5000 to 2.2500"),
        (third, "warn", "rose from 2.5000"),
    ):
        lines = {one["code"]: one for one in engineer.api.get(f"/api/v1/runs/{run_id}/checklist").json()}
        line = lines["beginning"]
        assert (line["state"], line["link"]) == (state, f"/runs/{run_id}/gate?against={first.id}")
        assert said in line["evidence"]
        assert "“First”" in line["evidence"]

    with transaction(app.state.engine) as session:
        run = require_run(session, second)
        lineage = lineage_of(session, run)
        provenance = provenance_of(session, run, lineage["check"], lineage["model"])
        assert run.result is not None
        card = model_card(
            provenance, run.config, run.result, adapter_style(provenance), scores_of(session, run)
        )
    version_hash = provenance.version_hash
    assert [one.version_hash for one in provenance.earlier] == [version_hash]
    assert f"- It began with the adapter, as of step 3, of run {first.id}, “First”" in card
    assert f"- Before that, in run {first.id} (“First”): Calls, version 1 (sha256 `{version_hash}`)" in card
    assert f"of run {first.id} that it began from → of this one: 2.5000 → 2.2500" in card
    assert "Begins from an earlier run" in card
