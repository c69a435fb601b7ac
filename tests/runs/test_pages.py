"""Pages of runs: real states, live parts, everything typed kept."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import Session, select

from app.accounts.models import AuditEvent
from app.base_models.models import ModelEntry
from app.core.database import reading, transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.models import Job, JobKind, JobState
from app.mask_checks.models import MaskCheck
from app.runs.models import Run
from app.runs.result import RunResult
from app.runs.service import publish_artifacts, require_run
from app.sentences import Failure, FailureCode
from tests.support.people import Person, visible_text
from tests.support.training import (
    finish_check,
    make_check,
    make_model,
    make_run,
    make_version,
    metric,
    model_facts,
    progress,
    run_result,
)

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


def runs(app: FastAPI) -> list[Run]:
    with reading(app.state.engine) as session:
        found = list(session.exec(select(Run)))
        session.expunge_all()
        return found


def running(app: FastAPI, storage: Storage, *events: jobs.EventData, **request: Any) -> int:
    """A run under way with these events; its id."""
    with transaction(app.state.engine) as session:
        run, job = make_run(session, storage, **request)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        jobs.heartbeat(session, claim, lease_seconds=30, events=[("phase", {"phase": "training"}), *events])
        return run.id or 0


def end(session: Session, run_id: int, state: JobState, **result: Any) -> None:
    job = session.get_one(Job, session.get_one(Run, run_id).job_id)
    jobs.finish(session, jobs.Claim(job.id or 0, job.attempt, JobKind.TRAIN, {}), state, **result)


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
    assert 'disabled="True"' in waiting
    engineer.browser.post("/runs/new/check", data=form, headers=HTMX)
    finish(app)
    done = engineer.browser.get("/runs/new/check/1", headers=HTMX).text
    text = visible_text(done)
    assert "Green" in text
    assert "Trained tokens 400 40 %" in text
    assert "every 1s" not in done
    assert "disabled" not in done
    assert 'name="confirmed"' in done
    with reading(app.state.engine) as session:
        assert len(session.exec(select(MaskCheck)).all()) == 1


def test_a_wrong_mask_setting_is_told_in_place(app: FastAPI, engineer: Person, storage: Storage) -> None:
    with transaction(app.state.engine) as session:
        make_version(session, storage)
        make_model(session)
    for value, sentence in (("many", "whole number from 1 to"), ("5000", "reads at most 4096 tokens")):
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
    assert second.headers["location"] == "/runs/1"
    (run,) = runs(app)
    assert (run.config.lora_r, run.config.load_in_4bit, run.config.learning_rate) == (8, True, 1e-4)
    assert (run.evaluate_with, run.idempotency_key, run.confirmed_by) == (
        ["sales-en"],
        "click-1",
        engineer.actor.name,
    )


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
    assert "Needs your reason" in visible_text(panel)
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


def test_the_list_shows_live_states_with_progress_and_loss(
    app: FastAPI, annotator: Person, storage: Storage
) -> None:
    assert "No runs yet" in visible_text(annotator.browser.get("/runs").text)
    running(app, storage, progress(40, 120), metric(40, 1.2345), name="Second try")
    html = annotator.browser.get("/runs", headers=HTMX).text
    text = visible_text(html)
    assert "<html" not in html
    assert 'hx-trigger="every 3s"' in html
    for shown in ("Second try", "Training", "40/120", "1.234", "Mei"):
        assert shown in text
    assert "Standard" in text
    with transaction(app.state.engine) as session:
        end(session, 1, JobState.SUCCEEDED, result={})
        run = require_run(session, 1)
        run.config = run.config.model_copy(update={"lora_r": 8, "num_train_epochs": 4.0})
        session.add(run)
    html = annotator.browser.get("/runs").text
    assert "every 3s" not in html
    assert "Standard, 2 changed" in visible_text(html)
    assert "lora_r: 64 → 8" in html
    assert "lora_r 64 → 8" in visible_text(annotator.browser.get("/runs/1").text)


def test_the_run_page_shows_phase_figures_config_and_escaped_log(
    app: FastAPI, annotator: Person, engineer: Person, storage: Storage
) -> None:
    run_id = running(
        app, storage, progress(40, 120), metric(40, 1.5), ("eval", {"step": 40, "eval_loss": 1.75})
    )
    (storage.folder(f"jobs/{runs(app)[0].job_id}/1") / "log.txt").write_text(
        "step 40 <script>alert(1)</script>\n"
    )
    response = engineer.browser.get(f"/runs/{run_id}")
    text = visible_text(response.text)
    for shown in ("Step 40 / 120", "1.500", "1.750", "1:15", "lora_alpha", "128"):
        assert shown in text
    assert "&lt;script&gt;alert(1)" in response.text
    assert "<script>alert" not in response.text
    assert 'aria-current="step"' in response.text
    assert 'data-ended="false"' in response.text
    watched = annotator.browser.get(f"/runs/{run_id}").text
    assert "Step 40 / 120" in visible_text(watched)
    assert "Stop and save" not in watched  # annotators watch
    assert "alert(1)" not in watched  # what a process prints is for engineers


def test_a_failed_run_tells_the_reason_and_links_to_the_remedy(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    run_id = running(app, storage, progress(3))
    killed = "The process was killed (signal %(signal)s). Lower the batch size."
    with transaction(app.state.engine) as session:
        end(
            session, run_id, JobState.FAILED, failure=Failure.of(FailureCode.KILLED, killed, signal="SIGKILL")
        )
    html = engineer.browser.get(f"/runs/{run_id}/status").text
    assert "killed (signal SIGKILL)" in html
    link = re.search(r'href="(/runs/new\?like=1[^"]*)"', html)
    assert link is not None
    form = engineer.browser.get(link.group(1).replace("&amp;", "&")).text
    assert 'name="per_device_train_batch_size" value="2"' in form
    assert 'name="gradient_accumulation_steps" value="8"' in form


def test_stopping_asks_the_worker_and_shows_that_it_was_asked(
    app: FastAPI, engineer: Person, annotator: Person, storage: Storage
) -> None:
    run_id = running(app, storage)
    assert annotator.browser.post(f"/runs/{run_id}/stop", data={"how": "save"}).status_code == 403
    assert engineer.browser.post(f"/runs/{run_id}/stop", data={"how": "now"}).status_code == 422
    asked = engineer.browser.post(f"/runs/{run_id}/stop", data={"how": "save"}, headers=HTMX)
    assert "Stopping and saving…" in visible_text(asked.text)
    assert engineer.browser.post(f"/runs/{run_id}/stop", data={"how": "cancel"}).status_code == 303
    text = visible_text(engineer.browser.get(f"/runs/{run_id}/actions").text)
    assert "Cancelling…" in text
    with transaction(app.state.engine) as session:
        end(session, run_id, JobState.CANCELLED)
    late = engineer.browser.post(f"/runs/{run_id}/stop", data={"how": "cancel"}, headers=HTMX)
    assert (late.status_code, late.json()["detail"]) == (409, "This has already ended.")


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


def test_a_published_file_is_listed_and_downloaded_and_a_lost_one_is_a_clear_404(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    run_id = running(app, storage)
    folder = storage.folder("jobs/9/1/adapter")
    (folder / "adapter_config.json").write_text("{}")
    files = storage.files("jobs/9/1/adapter")
    with transaction(app.state.engine) as session:
        run = session.get_one(Run, run_id)
        run.adapter_key = "jobs/9/1/adapter"
        run.result = RunResult.stored(run_result(adapted={"q_proj": 24}, left_out={"lm_head": 1}))
        session.add(run)
        publish_artifacts(session, run, files)
        end(session, run_id, JobState.SUCCEEDED, result={})
    page = engineer.browser.get(f"/runs/{run_id}").text
    url = f"/api/v1/runs/{run_id}/artifacts/1/content"
    assert url in page
    assert "/playground?run=1" in page
    assert "q_proj × 24" in page
    assert "lm_head × 1" in page
    assert "/evaluations?run=1" in page
    assert engineer.browser.get(url).text == "{}"
    with reading(app.state.engine) as session:
        kept = session.exec(select(AuditEvent).where(AuditEvent.action == "run.download")).one()
    assert (kept.subject, kept.actor_user_id) == ("run/1 adapter_config.json", engineer.actor.user_id)
    assert engineer.api.get(f"/api/v1/runs/{run_id}/artifacts").json()[0]["name"] == "adapter_config.json"
    (folder / "adapter_config.json").unlink()
    lost = engineer.api.get(url)
    assert (lost.status_code, lost.json()["detail"]) == (
        404,
        "The file adapter_config.json is gone from the disk.",
    )


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


def test_pages_speak_chinese(app: FastAPI, engineer: Person, storage: Storage) -> None:
    running(app, storage, progress(1), metric(1))
    chinese = {"Accept-Language": "zh-CN"}
    assert "掩码检查" in visible_text(engineer.browser.get("/runs/1", headers=chinese).text)
    assert "训练方案" in visible_text(engineer.browser.get("/runs/new", headers=chinese).text)
    assert "通过：所有对话" in visible_text(engineer.browser.get("/mask-checks/1", headers=chinese).text)
