"""The page that starts a run: the mask check beside it, everything typed kept."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.base_models.models import ModelEntry
from app.core.database import reading, transaction
from app.core.storage import Storage
from app.mask_checks.models import MaskCheck
from tests.runs.under_way import running, runs
from tests.support.people import Person, visible_text
from tests.support.training import finish_check, make_check, make_model, make_version, model_facts

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.usefixtures("silent_bell")


@pytest.fixture
def checked(app: FastAPI, engineer: Person, storage: Storage) -> dict[str, str]:
    """A form whose mask check is green and confirmed."""
    with transaction(app.state.engine) as session:
        version, model = make_version(session, storage), make_model(session)
    form = {
        "version": str(version.id),
        "model": str(model.id),
        "recipe": "standard",
        "train_on": "assistant",
        "handling": "whole",
        "max_length": "2048",
        "control_tokens": "neutralise",
        "train_reasoning": "true",
        "idempotency_key": "click-1",
        "confirmed": "true",
    }
    engineer.browser.post("/runs/new/check", data=form, headers=HTMX)
    finish(app)
    return {**form, "mask_check_id": "1"}


def finish(app: FastAPI, *, green: bool = True) -> None:
    with transaction(app.state.engine) as session:
        check = session.exec(select(MaskCheck).order_by(MaskCheck.id.desc())).first()  # type: ignore[union-attr]
        assert check is not None
        finish_check(session, check, green=green)


def test_without_versions_or_models_the_form_says_what_to_do_first(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    page = engineer.browser.get("/runs/new")
    assert "Nothing to train on yet" in visible_text(page.text)
    assert 'href="/datasets"' in page.text
    with transaction(app.state.engine) as session:
        make_version(session, storage)
        make_model(session, ready=False)
    text = visible_text(engineer.browser.get("/runs/new").text)
    assert "No base model is ready" in text
    assert "Start training" not in text


def test_the_form_is_for_engineers(annotator: Person) -> None:
    assert annotator.browser.get("/runs/new").status_code == 403
    assert annotator.browser.post("/runs", data={}).status_code == 403
    assert annotator.browser.post("/runs/new/check", data={}).status_code == 403


def test_the_form_shows_counts_steps_and_real_recipe_numbers(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        make_version(session, storage, conversations=40)
        make_model(session)
    text = visible_text(engineer.browser.get("/runs/new").text)
    assert "Calls v1 · 40 conversations" in text
    assert "For training 38 Held out 2 Samples a step 16 Steps 9" in text
    assert "Rank 128 Alpha 256 Layers all linear" in text
    assert "Set logging_steps to 1" in text


def test_asking_for_the_check_polls_until_it_is_green_and_only_then_offers_the_start(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        make_version(session, storage)
        make_model(session)
    form = {"version": "1", "model": "1", "train_reasoning": "true"}
    waiting = engineer.browser.post("/runs/new/check", data=form, headers=HTMX).text
    assert "<html" not in waiting
    assert 'hx-get="/runs/new/check/1"' in waiting
    assert 'disabled="True"' in engineer.browser.post("/runs/new/check", data=form).text
    engineer.browser.post("/runs/new/check", data=form, headers=HTMX)
    finish(app)
    done = engineer.browser.get("/runs/new/check/1", headers=HTMX).text
    text = visible_text(done)
    assert "Green" in text
    assert "Trained tokens 400 40 %" in text
    assert "every 1s" not in done
    assert "disabled=" not in engineer.browser.post("/runs/new/check", data=form).text
    assert 'name="confirmed"' in done
    with reading(app.state.engine) as session:
        assert len(session.exec(select(MaskCheck)).all()) == 1


def test_a_wrong_mask_setting_is_told_in_place(app: FastAPI, engineer: Person, storage: Storage) -> None:
    with transaction(app.state.engine) as session:
        make_version(session, storage)
        make_model(session)
    for value, sentence in (("many", "whole number from 1 to"), ("5000", "reads at most 4,096 tokens")):
        data = {"version": "1", "model": "1", "max_length": value}
        text = visible_text(engineer.browser.post("/runs/new/check", data=data, headers=HTMX).text)
        assert sentence in text
    text = visible_text(
        engineer.browser.post("/runs/new/check", data={"version": "", "model": "x"}, headers=HTMX).text
    )
    assert "Choose a" in text


def test_a_confirmed_green_check_starts_the_run_and_a_second_click_finds_it(
    app: FastAPI, engineer: Person, checked: dict[str, str]
) -> None:
    form = {**checked, "suites": "sales-en", "lora_r": "8", "load_in_4bit": "true"}
    first = engineer.browser.post("/runs", data=form)
    second = engineer.browser.post("/runs", data=form)
    assert (first.status_code, first.headers["location"]) == (303, "/runs/1")
    assert second.headers["location"] == "/runs/1?already=true"
    (run,) = runs(app)
    assert (run.config.lora_r, run.config.load_in_4bit, run.config.learning_rate) == (8, True, 1e-4)
    assert (run.evaluate_with, run.idempotency_key, run.confirmed_by) == (
        ["sales-en"],
        "click-1",
        engineer.actor.name,
    )


def test_a_form_that_was_gone_back_to_starts_its_other_run_under_a_key_of_its_own(
    app: FastAPI, engineer: Person, checked: dict[str, str]
) -> None:
    engineer.browser.post("/runs", data={**checked, "lora_r": "8"})
    changed = {**checked, "lora_r": "16"}
    refused = engineer.browser.post("/runs", data=changed)
    assert refused.status_code == 422
    assert "This form has started run 1 already, with other settings" in visible_text(refused.text)
    key = re.search(r'name="idempotency_key" value="([^"]+)"', refused.text)
    assert key
    assert key[1] != checked["idempotency_key"]
    again = engineer.browser.post("/runs", data={**changed, "idempotency_key": key[1]})
    assert (again.status_code, again.headers["location"]) == (303, "/runs/2")
    assert sorted(run.config.lora_r for run in runs(app)) == [8, 16]


@pytest.mark.parametrize(
    ("changes", "status", "sentence"),
    [
        ({"confirmed": ""}, 422, "Look at the mask check and confirm it"),
        ({"lora_r": "lots"}, 422, "lora_r must be a whole number."),
        ({"recipe": "fast"}, 422, "There is no recipe “fast”"),
        ({"suites": "nonsense"}, 422, "There is no suite “nonsense”"),
        ({"max_length": "1024"}, 409, "changed after the check"),
        ({"mask_check_id": ""}, 409, "changed after the check"),
    ],
)
def test_what_is_wrong_comes_back_with_everything_that_was_typed(
    app: FastAPI,
    engineer: Person,
    checked: dict[str, str],
    changes: dict[str, str],
    status: int,
    sentence: str,
) -> None:
    response = engineer.browser.post("/runs", data={**checked, "name": "My <run>", "seed": "7", **changes})
    assert response.status_code == status
    assert sentence in visible_text(response.text)
    assert 'value="My &lt;run&gt;"' in response.text
    assert 'name="seed" value="7"' in response.text
    assert 'value="click-1"' in response.text
    assert runs(app) == []


def test_a_red_check_starts_only_with_a_reason(
    app: FastAPI, engineer: Person, checked: dict[str, str]
) -> None:
    form = {**checked, "max_length": "512"}
    engineer.browser.post("/runs/new/check", data=form, headers=HTMX)
    finish(app, green=False)
    form["mask_check_id"] = "2"
    panel = engineer.browser.get("/runs/new/check/2", headers=HTMX).text
    assert "Why train all the same" in visible_text(panel)
    assert "Needs your reason" in visible_text(engineer.browser.post("/runs/new/plan", data=form).text)
    assert panel.count('href="/help/masking#check-') == panel.count('<ul class="red-checks">') == 1
    refused = engineer.browser.post("/runs", data=form)
    assert refused.status_code == 409
    assert "Fix the conversations, or override with a reason" in visible_text(refused.text)
    started = engineer.browser.post("/runs", data={**form, "override_reason": "Known <case>"})
    assert started.status_code == 303
    assert runs(app)[0].override_reason == "Known <case>"
    text = visible_text(engineer.browser.get("/runs/1").text)
    assert "A red check was overridden" in text
    assert "Known &lt;case&gt;" in text


def test_a_run_like_another_takes_its_changes_over(app: FastAPI, engineer: Person, storage: Storage) -> None:
    running(app, storage, changes={"lora_r": 8}, recipe="quality", evaluate_with=("sales-zh",))
    html = engineer.browser.get("/runs/new?like=1&learning_rate=1e-5").text
    assert 'name="lora_r" value="8"' in html
    assert 'name="learning_rate" value="1e-5"' in html
    assert 'name="lora_alpha" value=""' in html
    assert re.search(r'value="quality"[^>]* checked', html)
    assert re.search(r'value="sales-zh"[^>]* checked', html)
    assert engineer.browser.get("/runs/new?like=99").status_code == 404
    assert engineer.browser.get("/runs/new?version=99").status_code == 404


def test_a_link_cannot_confirm_anything(app: FastAPI, engineer: Person, checked: dict[str, str]) -> None:
    html = engineer.browser.get("/runs/new?confirmed=true&idempotency_key=stolen&override_reason=x").text
    assert "stolen" not in html
    assert 'name="confirmed"' not in html


def test_the_models_own_layers_are_offered_and_what_it_never_learned_is_said_before_the_start(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        make_check(session, storage)
        session.get_one(ModelEntry, 1).info = model_facts(end_of_turn_trained=False)
    assert "“small” has q_proj, k_proj, v_proj, o_proj, up_proj" in visible_text(
        engineer.browser.get("/runs/new").text
    )
    form = {"version": "1", "model": "1", "recipe": "quick", "lora_target_modules": "q_proj,w_pack"}
    plan = engineer.browser.post("/runs/new/plan", data=form, headers=HTMX).text
    assert 'id="model-layers" hx-swap-oob="true"' in plan
    assert "This base model has no layer w_pack" in visible_text(plan)
    plan = engineer.browser.post(
        "/runs/new/plan", data={**form, "lora_target_modules": ""}, headers=HTMX
    ).text
    assert "was never trained in this base model: its row is trained too" in visible_text(plan)
    asked = {"mask_check_id": 1, "confirmed": True, "changes": {"lora_target_modules": "w_pack"}}
    refused = engineer.api.post("/api/v1/runs", json=asked)
    assert (refused.status_code, refused.json()["field"]) == (422, "lora_target_modules")
    started = engineer.api.post("/api/v1/runs", json={**asked, "changes": {}})
    assert started.json()["config"]["trainable_tokens"] == "end_of_turn"


YAML = (
    "finetuning_type: lora\nlora_rank: 12\nlora_alpha: 48\nlearning_rate: 1e-4\nuse_dora: true\n"
    "optim: lion\nflash_attn: fa2\n"
)


def test_a_config_of_another_tool_fills_in_the_form_with_a_note_for_each_key_that_means_nothing(
    app: FastAPI, engineer: Person, annotator: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        make_version(session, storage)
        make_model(session)
    assert 'href="/runs/new/config"' in engineer.browser.get("/runs/new").text
    assert 'name="config"' in engineer.browser.get("/runs/new/config").text
    pasted = engineer.browser.post("/runs/new/config", data={"config": YAML}).text
    chosen = engineer.browser.post("/runs/new/config", files={"file": ("train.yaml", YAML.encode())}).text
    for page in (pasted, chosen):
        assert re.search(r'name="lora_r" value="12"', page)
        assert re.search(r'name="learning_rate" value="1e-4"', page)
        assert re.search(r'id="method-lora"[^>]* checked', page)
        text = visible_text(page)
        assert "Filled in from a config of LLaMA-Factory 5 settings were taken from it." in text
        assert (
            "2 notes flash_attn has no meaning here and is left out. optim is left out: optim must be one of"
            in text
        )
    chinese = {"Accept-Language": "zh-CN"}
    told = engineer.api.post("/api/v1/recipes/read", json={"config": YAML}, headers=chinese).json()
    assert told["changes"] == {
        "use_peft": True,
        "lora_r": 12,
        "lora_alpha": 48,
        "learning_rate": 1e-4,
        "use_dora": True,
    }
    assert (told["tool"], len(told["notes"])) == ("llamafactory", 2)
    assert all("略去" in note for note in told["notes"])
    assert annotator.browser.post("/runs/new/config", data={"config": YAML}).status_code == 403


@pytest.mark.parametrize(
    "sent", [{}, {"data": {"config": "colour: blue"}}, {"files": {"file": ("x", b"\xff")}}]
)
def test_what_is_no_config_comes_back_beside_the_field(engineer: Person, sent: dict[str, Any]) -> None:
    answer = engineer.browser.post("/runs/new/config", **sent)
    assert answer.status_code == 422
    assert "field__error" in answer.text
    assert sent.get("data", {}).get("config", "") in answer.text
    api = engineer.api.post("/api/v1/recipes/read", json={"config": "colour: blue"})
    assert (api.status_code, api.json()["field"]) == (422, "config")
