"""Pages and REST of base models."""

import json
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlmodel import select

from app.base_models.models import ModelEntry
from app.core.database import reading, transaction
from app.core.storage import Storage
from app.core.stored_models import Told
from app.jobs import service as jobs
from app.jobs.models import Job, JobState
from app.sentences import Failure, FailureCode, Sentence
from tests.support.people import Person, visible_text
from tests.support.training import make_check, make_model, model_facts

pytestmark = pytest.mark.usefixtures("silent_bell")


def test_without_a_model_the_page_says_what_to_do(engineer: Person, annotator: Person) -> None:
    text = visible_text(engineer.browser.get("/base-models").text)
    assert "No base model yet" in text
    assert "Add the bundled model" in text
    assert "Add the bundled model" not in visible_text(annotator.browser.get("/base-models").text)


def test_the_bundled_model_is_added_with_one_click_and_its_state_polled(
    app: FastAPI, engineer: Person
) -> None:
    assert engineer.browser.post("/base-models", data={"source": "bundled"}).status_code == 303
    html = engineer.browser.get("/base-models", headers={"HX-Request": "true"}).text
    assert "<html" not in html
    assert 'hx-trigger="every 2s"' in html
    assert "Queued" in visible_text(html)
    assert "SmolLM2-135M-Instruct" in html


def test_a_ready_model_shows_its_facts_and_polls_no_more(app: FastAPI, engineer: Person) -> None:
    with transaction(app.state.engine) as session:
        make_model(session)
    html = engineer.browser.get("/base-models").text
    text = visible_text(html)
    for fact in ("Ready", "135 M", "4,096", "&lt;|im_end|&gt;"):
        assert fact in text
    assert "every 2s" not in html


def test_a_models_own_page_says_what_it_is_and_what_is_unusual(
    app: FastAPI, engineer: Person, annotator: Person
) -> None:
    never = Sentence.of("The token %(token)s was never trained.", token="<|im_end|>")
    with transaction(app.state.engine) as session:
        model = make_model(session)
        model.info = model_facts(end_of_turn_trained=False, remarks=[Told(sentence=never)], licence="mit")
        bare = make_model(session, name="older", ready=False)
        # As it was stored before the facts had a version.
        older = {"parameters": 7, "context_length": None, "revision": "abc"}
        session.execute(
            text("UPDATE base_model SET info = :info WHERE id = :id"),
            {"info": json.dumps(older), "id": bare.id},
        )
    said = visible_text(annotator.browser.get("/base-models/1").text)
    for fact in (
        "4,096 tokens",
        "mit",
        "never trained",
        "model.layers.*.mlp.up_proj",
        "no: makes the logits",
    ):
        assert fact in said
    assert "Not prepared" in visible_text(engineer.browser.get("/base-models/2").text)
    found = engineer.api.get("/api/v1/base-models").json()
    assert [one["info"]["parameters"] for one in found] == [135_000_000, 7]
    assert found[0]["info"]["remarks"][0]["detail"] == "The token <|im_end|> was never trained."


def test_a_failure_shows_its_reason_and_can_be_tried_again(app: FastAPI, engineer: Person) -> None:
    engineer.browser.post("/base-models", data={"source": "hub", "reference": "org/chat"})
    with transaction(app.state.engine) as session:
        job = session.exec(select(Job)).one()
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        jobs.finish(
            session, claim, JobState.FAILED, failure=Failure.of(FailureCode.MODEL_MISSING, "It is <gated>.")
        )
    text = visible_text(engineer.browser.get("/base-models").text)
    assert "It is &lt;gated&gt;." in text
    assert "Try again" in text
    response = engineer.browser.post("/base-models/1/retry", headers={"HX-Request": "true"})
    assert "Queued" in visible_text(response.text)
    assert "toast" in response.headers["HX-Trigger"]


def test_a_mistake_comes_back_beside_its_field_with_what_was_typed(engineer: Person) -> None:
    form = {"source": "hub", "reference": "not a hub id", "name": "My model", "revision": "main"}
    response = engineer.browser.post("/base-models", data=form)
    assert response.status_code == 422
    assert "is not a hub id" in visible_text(response.text)
    for typed in ("not a hub id", "My model", "main"):
        assert f'value="{typed}"' in response.text
    assert 'aria-invalid="true"' in response.text
    assert engineer.browser.post("/base-models", data={"source": "ftp"}).status_code == 422


def test_annotators_add_no_models(app: FastAPI, annotator: Person) -> None:
    assert annotator.browser.post("/base-models", data={"source": "bundled"}).status_code == 403
    assert annotator.api.post("/api/v1/base-models", json={"source": "bundled"}).status_code == 403
    with reading(app.state.engine) as session:
        assert session.exec(select(ModelEntry)).all() == []


def test_rest_adds_lists_and_shows(engineer: Person) -> None:
    created = engineer.api.post("/api/v1/base-models", json={"source": "bundled"})
    assert created.status_code == 201
    assert created.json()["job"]["state"] == "queued"
    assert [item["id"] for item in engineer.api.get("/api/v1/base-models").json()] == [created.json()["id"]]
    assert engineer.api.get("/api/v1/base-models/9").status_code == 404
    wrong = engineer.api.post("/api/v1/base-models", json={"source": "hub", "reference": "a/b/c"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "reference")
    assert engineer.api.post("/api/v1/base-models", json={"source": "hub", "trust": True}).status_code == 422


def test_the_page_speaks_chinese(engineer: Person) -> None:
    text = visible_text(engineer.browser.get("/base-models", headers={"Accept-Language": "zh-CN"}).text)
    assert "还没有基座模型" in text


def test_a_download_tells_how_far_it_is(app: FastAPI, engineer: Person) -> None:
    engineer.browser.post("/base-models", data={"source": "hub", "reference": "org/chat"})
    with transaction(app.state.engine) as session:
        job = session.exec(select(Job)).one()
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        told = ("progress", {"step": 3 * 2**20, "total_steps": 2**30})
        jobs.heartbeat(session, claim, lease_seconds=30, events=[("phase", {"phase": "downloading"}), told])
    assert "3.0 MB of 1.0 GB" in visible_text(engineer.browser.get("/base-models").text)


def test_a_model_that_nothing_was_made_with_is_removed_with_its_files_and_any_other_stays(
    app: FastAPI, engineer: Person, annotator: Person, storage: Storage, tmp_path: Path
) -> None:
    made = engineer.api.post(
        "/api/v1/base-models", json={"source": "hub", "reference": "org/mistyped"}
    ).json()
    path, job_id = f"/base-models/{made['id']}", made["job"]["id"]
    early = engineer.browser.post(f"{path}/remove")
    assert (early.status_code, "Cancel that in the queue" in visible_text(early.text)) == (409, True)
    shown = engineer.browser.get(path).text
    assert (f"{path}/remove" in shown, "Cancel that in the queue" in visible_text(shown)) == (False, True)
    assert engineer.api.post(f"/api/v1/jobs/{job_id}/stop", json={"how": "cancel"}).status_code == 200
    written = storage.folder(f"jobs/{job_id}/1/model")
    (written / "half.safetensors").write_bytes(b"x")
    links = app.state.settings.data_dir / "models"
    links.mkdir(parents=True)
    (links / "org--mistyped").symlink_to(written, target_is_directory=True)
    assert f"{path}/remove" not in annotator.browser.get(path).text
    assert annotator.api.delete(f"/api/v1{path}").status_code == 403
    assert f"{path}/remove" in engineer.browser.get(path).text
    assert engineer.browser.post(f"{path}/remove").headers["location"] == "/base-models"
    assert engineer.api.get(f"/api/v1{path}").status_code == 404
    assert not storage.path(f"jobs/{job_id}").exists()
    assert list(links.iterdir()) == []
    with transaction(app.state.engine) as session:
        check = make_check(session, storage)
        used = check.base_model_id
        own = make_model(session, name="own")
        own.path = str(tmp_path)
    refused = engineer.api.delete(f"/api/v1/base-models/{used}")
    assert (refused.status_code, "must stay repeatable" in refused.json()["detail"]) == (409, True)
    shown = engineer.browser.get(f"/base-models/{used}").text
    assert ("/remove" in shown, "must stay repeatable" in visible_text(shown)) == (False, True)
    assert "must stay repeatable" not in visible_text(annotator.browser.get(f"/base-models/{used}").text)
    # What cannot be removed says so; of a folder of the server's own it is said that it stays.
    assert "its own folder stays as it is" in engineer.browser.get(f"/base-models/{own.id}").text
    # A folder of the server's own is not ours to delete.
    assert engineer.api.delete(f"/api/v1/base-models/{own.id}").status_code == 204
    assert tmp_path.is_dir()
