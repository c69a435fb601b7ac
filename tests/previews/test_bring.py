"""Any model from the preview page itself: a hub id, a folder, or neither right."""

import json
import shutil
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.base_models.models import ModelEntry
from app.core.database import transaction
from app.core.settings import Settings
from app.jobs import service as jobs
from app.jobs.models import Job, JobState
from app.sentences import Failure, FailureCode
from tests.previews.conftest import MakeConversation, tokens_on
from tests.support.people import Person, visible_text

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.usefixtures("silent_bell")


def only_job(app: FastAPI) -> int:
    with transaction(app.state.engine) as session:
        return session.exec(select(Job)).one().id or 0


def arrive(app: FastAPI, folder: Path, job_id: int) -> None:
    """As the worker publishes it."""
    with transaction(app.state.engine) as session:
        claim = jobs.claim(session, job_id, owner="w", lease_seconds=30)
        assert claim is not None
        model = session.get(ModelEntry, claim.payload["base_model_id"])
        assert model is not None
        model.tokenizer_path = str(folder)
        jobs.finish(session, claim, JobState.SUCCEEDED)


def test_a_hub_id_is_fetched_and_chosen_as_soon_as_it_is_here(
    app: FastAPI, engineer: Person, make: MakeConversation, smollm2_folder: Path
) -> None:
    page = engineer.browser.get(f"/conversations/{make()}/mask").text
    assert "No base model is ready" in page
    assert 'name="reference"' in page
    asked = engineer.browser.post("/mask-models", data={"reference": " org/chat "}, headers=HTMX)
    assert asked.status_code == 200
    assert "are being fetched" in visible_text(asked.text)
    assert 'hx-get="/mask-models/1?seen=queued"' in asked.text
    assert engineer.browser.get("/mask-models/1?seen=queued", headers=HTMX).status_code == 204
    arrive(app, smollm2_folder, only_job(app))
    done = engineer.browser.get("/mask-models/1?seen=queued", headers=HTMX)
    chosen = {"id": 1, "name": "chat (tokenizer only)"}
    assert json.loads(done.headers["HX-Trigger"]) == {"model:ready": chosen}
    assert "prepare the whole model" in visible_text(done.text)
    shown = engineer.browser.get("/conversations/1/mask", params={"base_model": 1})
    assert shown.status_code == 200
    assert tokens_on(shown.text)
    assert "chat (tokenizer only)" in shown.text
    listed = visible_text(engineer.browser.get("/base-models").text)
    assert "Tokenizer only" in listed
    assert "Prepare for training" in listed


def test_what_cannot_be_fetched_is_said_at_the_field(
    app: FastAPI, engineer: Person, make: MakeConversation
) -> None:
    engineer.browser.post("/mask-models", data={"reference": "org/typo"}, headers=HTMX)
    with transaction(app.state.engine) as session:
        claim = jobs.claim(session, session.exec(select(Job)).one().id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        jobs.finish(
            session,
            claim,
            JobState.FAILED,
            failure=Failure.of(FailureCode.MODEL_MISSING, "The hub does not know <org/typo>."),
        )
    answer = engineer.browser.get("/mask-models/1?seen=running", headers=HTMX).text
    assert "The hub does not know &lt;org/typo&gt;." in answer
    assert 'value="org/typo"' in answer
    assert "every 1s" not in answer
    assert "No base model yet" in visible_text(engineer.browser.get("/base-models").text)


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("", "Name the model: a hub id such as org/name, or a folder."),
        ("org name", "is not a hub id. It looks like org/name."),
        ("/etc", "Models may lie below these folders only"),
        ("../../etc", "Models may lie below these folders only"),
        ("x" * 600, "Name the model"),
        ("<script>", "is not a hub id"),
    ],
)
def test_a_reference_that_is_none_is_refused_in_place(
    engineer: Person, reference: str, sentence: str
) -> None:
    answer = engineer.browser.post("/mask-models", data={"reference": reference}, headers=HTMX)
    assert answer.status_code == 422
    assert sentence in visible_text(answer.text)
    assert "<html" not in answer.text
    assert 'aria-invalid="true"' in answer.text
    plain = engineer.browser.post("/mask-models", data={"reference": reference})
    assert plain.status_code == 422
    assert sentence in visible_text(plain.text)


def test_a_missing_folder_is_named(engineer: Person, settings: Settings) -> None:
    folder = settings.data_dir / "nowhere"
    answer = engineer.browser.post("/mask-models", data={"reference": str(folder)}, headers=HTMX)
    assert answer.status_code == 422
    assert f"There is no folder {folder}" in visible_text(answer.text)


def test_without_scripts_one_comes_back_to_the_page_under_the_model(
    app: FastAPI, engineer: Person, make: MakeConversation, settings: Settings, smollm2_folder: Path
) -> None:
    number = make()
    folder = settings.data_dir / "chat"
    shutil.copytree(smollm2_folder, folder)
    body = {
        "reference": str(folder),
        "back": f"/conversations/{number}/mask?q=a&base_model=7&handling=per_turn",
    }
    answer = engineer.browser.post("/mask-models", data=body, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/conversations/{number}/mask?q=a&handling=per_turn&base_model=1"
    page = engineer.browser.get(answer.headers["location"])
    assert page.status_code == 422
    assert "is not ready yet" in visible_text(page.text)
    for elsewhere in (
        "//evil.example/x",
        "/\\evil.example",
        "https://evil.example",
        "/conversations/1/\\x\n",
    ):
        away = engineer.browser.post("/mask-models", data={**body, "back": elsewhere}, follow_redirects=False)
        assert away.headers["location"].startswith("/datasets"), elsewhere


def test_a_name_that_is_taken_becomes_a_longer_one(app: FastAPI, engineer: Person, model_id: int) -> None:
    for reference in ("org/SmolLM2", "org2/SmolLM2", "SmolLM2", "SmolLM2-135M-Instruct"):
        answer = engineer.browser.post("/mask-models", data={"reference": reference}, headers=HTMX)
        assert answer.status_code == 200, answer.text
    with transaction(app.state.engine) as session:
        names = [model.name for model in session.exec(select(ModelEntry))]
    assert names == ["SmolLM2", "org/SmolLM2", "org2/SmolLM2", "SmolLM2 (2)", "SmolLM2-135M-Instruct"]


def test_annotators_are_told_who_can(annotator: Person, make: MakeConversation, model_id: int) -> None:
    page = annotator.browser.get(f"/conversations/{make()}/mask").text
    assert "An engineer can bring another model here" in visible_text(page)
    assert 'action="/mask-models"' not in page
    assert annotator.browser.post("/mask-models", data={"reference": "org/chat"}).status_code == 403
