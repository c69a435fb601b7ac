"""Pages of runs: real states, live parts."""

import re

import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.accounts.models import AuditEvent
from app.core.database import reading, transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.models import Job, JobKind, JobState
from app.runs.artifacts import publish_artifacts
from app.runs.models import Run
from app.runs.result import RunResult
from app.runs.service import require_run
from app.sentences import Failure, FailureCode
from tests.runs.under_way import end, running, runs
from tests.support.people import Person, visible_text
from tests.support.routes import all_routes
from tests.support.training import metric, progress, run_result

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.usefixtures("silent_bell")


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
    assert "Run 1 · Standard, 2 changed num_train_epochs 4 lora_r 8" in " ".join(visible_text(html).split())
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
    for shown in ("Step 40 of 120", "1.500", "1.750", "1:15", "lora_alpha", "128"):
        assert shown in text
    assert "&lt;script&gt;alert(1)" in response.text
    assert "<script>alert" not in response.text
    assert 'aria-current="step"' in response.text
    assert 'data-ended="false"' in response.text
    watched = annotator.browser.get(f"/runs/{run_id}").text
    assert "Step 40 of 120" in visible_text(watched)
    assert "Stop and keep" not in watched  # annotators watch
    assert "alert(1)" not in watched  # what a process prints is for engineers


def test_list_header_and_queue_show_no_figure_that_a_later_attempt_took_back(
    app: FastAPI, annotator: Person, storage: Storage
) -> None:
    run_id = running(
        app,
        storage,
        *(progress(20, 120), metric(20, 1.875), ("eval", {"step": 20, "eval_loss": 1.75})),
        *(progress(40, 120), metric(40, 1.127), ("eval", {"step": 40, "eval_loss": 1.253})),
        ("restored", {"step": 20}),
        name="Lost once",
    )
    for address in ("/runs", f"/runs/{run_id}/status", "/queue"):
        text = visible_text(annotator.browser.get(address).text)
        assert re.search(r"(20/120|Step 20 of 120)", text), address
        assert not re.search(r"(40/120|Step 40 of 120|1\.127|1\.253)", text), address
    for address in ("/runs", f"/runs/{run_id}"):  # in whose log the lost attempt stays, as it was
        assert "1.875" in visible_text(annotator.browser.get(address).text)


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


def test_a_paused_run_says_where_it_stands_and_goes_on_from_its_page_and_by_commands(
    app: FastAPI, engineer: Person, annotator: Person, storage: Storage
) -> None:
    run_id = running(app, storage, progress(40, 120))
    assert annotator.browser.post(f"/runs/{run_id}/resume").status_code == 403
    assert engineer.browser.post(f"/runs/{run_id}/resume", headers=HTMX).status_code == 409
    asked = engineer.browser.post(f"/runs/{run_id}/stop", data={"how": "pause"}, headers=HTMX)
    assert "Pausing…" in visible_text(asked.text)
    with transaction(app.state.engine) as session:
        job = session.get_one(Job, runs(app)[0].job_id)
        jobs.pause(session, jobs.Claim(job.id or 0, 1, JobKind.TRAIN, {}))
    text = visible_text(engineer.browser.get(f"/runs/{run_id}").text)
    for shown in (
        "Paused",
        "It stands at step 40",
        "Go on",
        "Leave it paused",
        "the place is free for others",
    ):
        assert shown in text
    assert "Pause " not in visible_text(engineer.browser.get(f"/runs/{run_id}/actions").text)
    told = engineer.api.get(f"/api/v1/runs/{run_id}").json()["job"]
    assert (told["state"], told["status"]) == ("paused", "paused")
    assert engineer.browser.post(f"/runs/{run_id}/resume").status_code == 303
    # Queued, it pauses at once; by REST as by the page.
    assert engineer.api.post(f"/api/v1/runs/{run_id}/pause").json()["job"]["state"] == "paused"
    assert engineer.api.post(f"/api/v1/runs/{run_id}/resume").json()["job"]["state"] == "queued"
    story = visible_text(engineer.browser.get(f"/runs/{run_id}/log").text)
    assert "Goes on as soon as a worker is free." in story


def test_what_another_program_trains_cannot_pause(app: FastAPI, engineer: Person, storage: Storage) -> None:
    run_id = running(app, storage)
    with transaction(app.state.engine) as session:
        run = session.get_one(Run, run_id)
        run.config = run.config.model_copy(update={"backend": "trl"})
        session.add(run)
    refused = engineer.api.post(f"/api/v1/runs/{run_id}/pause")
    assert (refused.status_code, "TRL" in refused.json()["detail"]) == (409, True)
    assert "Pause" not in visible_text(engineer.browser.get(f"/runs/{run_id}/actions").text)


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


def test_pages_speak_chinese(app: FastAPI, engineer: Person, storage: Storage) -> None:
    running(app, storage, progress(1), metric(1))
    chinese = {"Accept-Language": "zh-CN"}
    assert "掩码检查" in visible_text(engineer.browser.get("/runs/1", headers=chinese).text)
    assert "训练方案" in visible_text(engineer.browser.get("/runs/new", headers=chinese).text)
    assert "通过：所有对话" in visible_text(engineer.browser.get("/mask-checks/1", headers=chinese).text)


def test_a_piece_of_a_runs_page_opened_by_itself_leads_to_the_page(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    run_id = running(app, storage, progress(40, 120))
    page, opened = f"/runs/{run_id}", {"Accept": "text/html,*/*;q=0.8"}
    paths = {route.path for method, route in all_routes(app) if method == "GET"}
    below = [path for path in paths if path.startswith("/runs/{run_id}/") and path.count("{") == 1]
    assert len(below) > 10
    led = []
    for path in below:
        told = engineer.browser.get(path.replace("{run_id}", str(run_id)), headers=opened)
        if told.status_code == 303:
            led.append(told.headers["location"])
        else:
            # A page of its own, as the gate's, or what is told of a run that has not ended.
            assert "<html" in told.text, path
    assert len(led) > 8
    assert {address.partition("#")[0] for address in led} == {page}


def test_a_run_that_never_got_better_than_before_training_says_so(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    measured = [
        ("eval", {"step": step, "eval_loss": loss}) for step, loss in ((0, 4.0), (10, 4.2), (20, 4.1))
    ]
    run_id = running(app, storage, progress(20, 20), *measured)
    said = "Never better than before training"
    assert said not in engineer.browser.get(f"/runs/{run_id}").text
    with transaction(app.state.engine) as session:
        end(session, run_id, JobState.SUCCEEDED, result={})
    text = visible_text(engineer.browser.get(f"/runs/{run_id}").text)
    assert said in text
    assert "was 4.0000; no measurement came below that, the lowest was 4.1000 at step 20" in text


def test_a_run_that_got_better_and_then_worse_is_not_told_that_it_never_did(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    measured = [
        ("eval", {"step": step, "eval_loss": loss}) for step, loss in ((0, 4.0), (10, 3.9), (20, 4.1))
    ]
    run_id = running(app, storage, progress(20, 20), *measured)
    with transaction(app.state.engine) as session:
        end(session, run_id, JobState.SUCCEEDED, result={})
    assert "Never better than" not in engineer.browser.get(f"/runs/{run_id}").text
