"""The model of a full fine-tune as a base model of its own."""

from typing import Any

import pytest
from fastapi import FastAPI

from app.base_models.handler import PrepareBaseModel
from app.base_models.models import ModelEntry
from app.core.database import transaction
from app.core.settings import Settings
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.handlers import Workplace
from app.jobs.models import JobState
from app.runs.lineage import with_descendants
from app.runs.models import Run
from app.runs.result import RunResult
from tests.support.people import Person, problem_of, visible_text
from tests.support.training import make_run, run_result

pytestmark = pytest.mark.usefixtures("silent_bell")
KEY = "jobs/9/1/model"


def ended(app: FastAPI, storage: Storage, **changes: Any) -> Run:
    """A run that kept what it trained."""
    with transaction(app.state.engine) as session:
        run, job = make_run(session, storage, name="First", changes=changes)
        claim = jobs.claim(session, job.id or 0, owner="test", lease_seconds=30)
        assert claim is not None
        jobs.finish(session, claim, JobState.SUCCEEDED, result={})
        run.result, run.adapter_key = RunResult.stored(run_result()), KEY
        session.add(run)
        session.flush()
        session.expunge(run)
    return run


def test_it_is_registered_once_and_prepared_from_the_runs_own_files(
    app: FastAPI, engineer: Person, storage: Storage, settings: Settings
) -> None:
    run = ended(app, storage, use_peft=False)
    address = f"/api/v1/runs/{run.id}/base-model"
    made = engineer.api.post(address)
    assert made.status_code == 201, made.text
    assert (made.json()["name"], made.json()["source"]) == (f"First #{run.id}", "run")
    assert engineer.api.post(address, json={"name": "Other"}).json()["id"] == made.json()["id"]
    with transaction(app.state.engine) as session:
        claim = jobs.claim(session, made.json()["job"]["id"], owner="test", lease_seconds=30)
        assert claim is not None
        place = Workplace(settings, storage, "jobs/10/1")
        given = PrepareBaseModel().child_input(session, place, claim)
    assert (given.source, given.reference) == ("local", str(storage.path(KEY)))
    page = engineer.browser.get("/base-models").text
    assert "Full fine-tune" in visible_text(page)
    assert KEY not in page


def test_the_page_of_the_run_offers_it_to_who_may_add_models(
    app: FastAPI, engineer: Person, annotator: Person, storage: Storage
) -> None:
    run = ended(app, storage, use_peft=False)
    action = f'action="/runs/{run.id}/base-model"'
    assert action in engineer.browser.get(f"/runs/{run.id}/actions").text
    assert action not in annotator.browser.get(f"/runs/{run.id}/actions").text
    pressed = engineer.browser.post(f"/runs/{run.id}/base-model")
    assert pressed.headers.get("location", str(pressed.url)).endswith("/base-models")
    with transaction(app.state.engine) as session:
        assert session.get(ModelEntry, 2) is not None


def test_what_is_no_whole_model_is_refused_in_words(app: FastAPI, engineer: Person, storage: Storage) -> None:
    adapter = ended(app, storage)
    body = {"mask_check_id": 1, "confirmed": True}
    waiting = engineer.api.post("/api/v1/runs", json=body).json()["id"]
    for run_id, words in ((adapter.id, "trained an adapter"), (waiting, "has no model to begin from")):
        refused = engineer.api.post(f"/api/v1/runs/{run_id}/base-model")
        assert (refused.status_code, words in problem_of(refused)) == (409, True), refused.text
    typed = engineer.api.post("/api/v1/base-models", json={"source": "run", "reference": KEY})
    assert (typed.status_code, typed.json()["errors"][0]["field"]) == (422, "source")


def test_a_run_that_would_begin_from_its_adapter_is_told_how_to_begin_from_its_model(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    whole = ended(app, storage, use_peft=False)
    body = {"mask_check_id": 1, "confirmed": True, "init_adapter": whole.id}
    refused = engineer.api.post("/api/v1/runs", json=body)
    assert (refused.status_code, refused.json()["field"]) == (422, "init_adapter")
    assert f"/api/v1/runs/{whole.id}/base-model" in problem_of(refused)


def test_runs_that_begin_from_its_model_are_told_with_it(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    whole = ended(app, storage, use_peft=False)
    made = engineer.api.post(f"/api/v1/runs/{whole.id}/base-model").json()
    started = [
        engineer.api.post("/api/v1/runs", json={"mask_check_id": 1, "confirmed": True, "name": name}).json()
        for name in ("Onward", "Further", "Another")
    ]
    with transaction(app.state.engine) as session:
        onward, further, _another = (session.get_one(Run, one["id"]) for one in started)
        onward.base_model_id, further.parent_run_id = made["id"], onward.id
        session.add_all([onward, further])
        session.flush()
        found = with_descendants(session, [session.get_one(Run, whole.id)])
        assert [run.name for run in found] == ["First", "Onward", "Further"]
