"""The checkpoints of a run as its page, REST and commands show them, and what begins from one."""

import json
import shutil
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlmodel import Session

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs.models import JobState
from app.mask_checks.models import MaskCheck
from app.runs.models import Run
from app.runs.service import require_run
from tests.cli.conftest import LiveServer, live
from tests.runs.under_way import end, running, runs
from tests.support.people import Person, visible_text
from tests.support.training import metric, progress

__all__ = ["live"]
pytestmark = pytest.mark.usefixtures("silent_bell")
LOSSES = {10: 2.5, 20: 1.5, 30: 2.0}


def write(storage: Storage, job_id: int, *steps: int) -> Path:
    """What a worker left of these checkpoints."""
    folder = storage.folder(f"jobs/{job_id}/1/checkpoints")
    for step in steps:
        one = folder / f"checkpoint-{step}"
        one.mkdir()
        (one / "training_state.json").write_text(json.dumps({"last_evaluation": [step, LOSSES[step]]}))
        (one / "adapter_model.safetensors").write_bytes(b"x" * 1000)
    return folder


def told(
    app: FastAPI, storage: Storage, state: JobState | None = JobState.CANCELLED, **request: object
) -> int:
    """A run that wrote three checkpoints, of which the first made room; ended, or under way."""
    events = [
        event
        for step, loss in LOSSES.items()
        for event in (
            metric(step),
            ("eval", {"step": step, "eval_loss": loss}),
            ("checkpoint", {"step": step, "path": f"jobs/1/1/checkpoints/checkpoint-{step}"}),
        )
    ]
    run_id = running(app, storage, *events, progress(30, 100), name="First", **request)  # type: ignore[arg-type]
    write(storage, next(run.job_id for run in runs(app) if run.id == run_id), 20, 30)
    if state is not None:
        with transaction(app.state.engine) as session:
            end(session, run_id, state)
    return run_id


def test_each_checkpoint_is_told_with_its_loss_and_size_or_why_it_is_gone(
    app: FastAPI, engineer: Person, annotator: Person, storage: Storage
) -> None:
    run_id = told(app, storage, changes={"save_total_limit": 2})
    found = engineer.api.get(f"/api/v1/runs/{run_id}/checkpoints").json()
    assert [(one["step"], one["eval_loss"], one["is_best"], one["size_bytes"] is None) for one in found] == [
        (10, 2.5, False, True),
        (20, 1.5, True, False),
        (30, 2.0, False, False),
    ]
    assert found[0]["gone"] == "Made room for newer ones: save_total_limit is 2."
    assert found[1]["size_bytes"] > 1000
    page = visible_text(engineer.browser.get(f"/runs/{run_id}").text)
    for shown in ("Checkpoints", "Made room for newer ones", "Best", "Go on from here", "Make it the model"):
        assert shown in page
    assert "Best of those kept" not in page
    watched = visible_text(annotator.browser.get(f"/runs/{run_id}/checkpoints").text)
    assert ("Best" in watched, "Go on from here" in watched) == (True, False)


def measured_between(app: FastAPI, storage: Storage, *evals: tuple[int, float]) -> int:
    """An ended run that saved at steps 20 and 30, and measured at these."""
    told_of: dict[int, list[tuple[str, dict[str, object]]]] = {}
    for step, loss in evals:
        told_of.setdefault(step, []).append(("eval", {"step": step, "eval_loss": loss}))
    for step in (20, 30):
        told_of.setdefault(step, []).append(("checkpoint", {"step": step, "path": "x"}))
    events = [event for step in sorted(told_of) for event in (metric(step), *told_of[step])]
    run_id = running(app, storage, *events, progress(30, 100))  # type: ignore[arg-type]
    write(storage, next(run.job_id for run in runs(app) if run.id == run_id), 20, 30)
    with transaction(app.state.engine) as session:
        end(session, run_id, JobState.CANCELLED)
    return run_id


@pytest.mark.parametrize(
    ("evals", "said", "best"),
    [
        # The best step was never saved.
        (((20, 2.5), (25, 1.25), (30, 2.0)), "of step 30, with 2.0000.", [False, True]),
        (((15, 1.25), (25, 2.0)), "at those that are kept nothing was measured.", [False, False]),
        # What is as good as the best is the best.
        (((20, 1.25), (25, 1.25), (30, 2.0)), "", [True, False]),
        ((), "", [False, False]),
    ],
)
def test_the_best_of_what_is_kept_is_not_taken_for_the_best_of_the_run(
    app: FastAPI,
    engineer: Person,
    storage: Storage,
    evals: tuple[tuple[int, float], ...],
    said: str,
    best: list[bool],
) -> None:
    run_id = measured_between(app, storage, *evals)
    found = engineer.api.get(f"/api/v1/runs/{run_id}/checkpoints").json()
    assert [one["is_best"] for one in found] == best
    assert any(one["is_best_of_run"] for one in found) == (any(best) and not said)
    page = visible_text(engineer.browser.get(f"/runs/{run_id}").text)
    assert ("The lowest held-out loss, 1.2500, was measured after step" in page, said in page) == (
        bool(said),
        True,
    )
    assert ("Best of those kept" in page) == (any(best) and bool(said))


def test_a_best_checkpoint_that_was_removed_is_the_best_no_more(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    run_id = told(app, storage)
    job_id = next(run.job_id for run in runs(app) if run.id == run_id)
    shutil.rmtree(storage.folder(f"jobs/{job_id}/1/checkpoints/checkpoint-20"))
    found = engineer.api.get(f"/api/v1/runs/{run_id}/checkpoints").json()
    marks = [(one["step"], one["is_best"], one["is_best_of_run"]) for one in found]
    assert marks == [(10, False, False), (20, False, True), (30, True, False)]
    page = visible_text(engineer.browser.get(f"/runs/{run_id}").text)
    assert (
        "1.5000, was measured after step 20, of which no checkpoint is kept. The best one that is kept is of step 30"
        in page
    )
    assert engineer.api.delete(f"/api/v1/runs/{run_id}/checkpoints").status_code == 204
    left = engineer.api.get(f"/api/v1/runs/{run_id}/checkpoints").json()
    assert not any(one["is_best"] for one in left)
    assert "of which no checkpoint is kept" not in visible_text(engineer.browser.get(f"/runs/{run_id}").text)


def test_a_run_goes_on_from_a_checkpoint_with_what_fits_and_nothing_else(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    run_id = told(app, storage)
    path = f"/api/v1/runs/{run_id}/checkpoints/20"

    def go_on(key: str = "", **changes: object) -> tuple[int, dict[str, object]]:
        headers = {"Idempotency-Key": key} if key else {}
        response = engineer.api.post(f"{path}/continue", json={"changes": changes}, headers=headers)
        return response.status_code, response.json()

    code, made = go_on("once", learning_rate=1e-5)
    assert (code, made["name"], made["arrays_hash"]) == (201, "First, on from step 20", "a" * 64)
    assert made["begins"] == {
        "schema_version": 1,
        "how": "checkpoint",
        "run_id": run_id,
        "run": "First",
        "step": 20,
        "eval_loss": 1.5,
    }
    with transaction(app.state.engine) as session:
        before, after = (require_run(session, one).config.to_json() for one in (run_id, int(str(made["id"]))))
    assert {name for name in before if before[name] != after[name]} == {"learning_rate"}
    assert go_on("once", learning_rate=1e-5)[0] == 200
    code, other = go_on("once", learning_rate=2e-5)
    assert (code, f"Run {made['id']} was started with this" in str(other["detail"])) == (422, True)
    refused = {"lora_r": 8, "lora_target_modules": "q,v", "optim": "adafactor", "seed": 7, "bf16": True}
    for field, value in refused.items():
        code, answer = go_on(**{field: value})
        assert (code, answer["field"]) == (422, field), answer
    # The field that decides is named, as raising the other would change nothing.
    for few, decides in (({"max_steps": 20}, "max_steps"), ({"num_train_epochs": 0.1}, "num_train_epochs")):
        answer = go_on(**few)[1]
        assert (answer["field"], answer["detail"].endswith(f"Raise {decides}.")) == (decides, True), answer
    assert go_on(learning_rate=7)[1]["field"] == "learning_rate"
    assert (
        engineer.api.post(f"/api/v1/runs/{run_id}/checkpoints/15/continue", json={}).json()["field"] == "step"
    )
    gone = engineer.api.post(f"/api/v1/runs/{run_id}/checkpoints/10/continue", json={})
    assert (gone.status_code, "There are: 20, 30." in gone.json()["detail"]) == (404, True)
    # Both pages name the other run, and so does the manifest.
    child = visible_text(engineer.browser.get(f"/runs/{made['id']}").text)
    assert "Begins from" in child
    assert f"Run {run_id}, on from step 20" in child
    assert "First, on from step 20" in visible_text(engineer.browser.get(f"/runs/{run_id}").text)
    manifest = engineer.api.get(f"/api/v1/runs/{made['id']}/manifest").json()
    assert manifest["begins"] == manifest["provenance"]["begins"] == made["begins"]
    compared = engineer.api.get(f"/api/v1/runs/compare?run={run_id}&run={made['id']}").json()["differences"]
    assert ["The base model", f"Run {run_id}, on from step 20"] in [one["values"] for one in compared]
    # It needs them until it has ended.
    needed = engineer.api.delete(f"/api/v1/runs/{run_id}/checkpoints")
    assert (needed.status_code, f"Run {made['id']} begins" in needed.json()["detail"]) == (409, True)
    engineer.api.post(f"/api/v1/runs/{made['id']}/stop")
    assert engineer.api.delete(f"/api/v1/runs/{run_id}/checkpoints").status_code == 204
    left = engineer.api.get(f"/api/v1/runs/{run_id}/checkpoints").json()
    assert {one["gone"] for one in left} >= {"Removed by a person, or gone from the disk."}


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.SUCCEEDED])
def test_it_goes_on_however_the_run_ended_from_its_page_by_rest_and_by_the_command(
    app: FastAPI, engineer: Person, storage: Storage, live: LiveServer, state: JobState
) -> None:
    # At step 30 of 100: one that succeeded was stopped and kept.
    run_id = told(app, storage, state)
    page = engineer.browser.get(f"/runs/{run_id}").text
    form = engineer.browser.get(f"/runs/{run_id}/checkpoints/20/continue")
    assert (f"/runs/{run_id}/checkpoints/20/continue" in page, form.status_code) == (True, 200)
    made = engineer.api.post(f"/api/v1/runs/{run_id}/checkpoints/20/continue", json={})
    assert (made.status_code, made.json()["begins"]["step"]) == (201, 20)
    command = ("continue", "--run", str(run_id), "--step", "30", "--no-wait", "--json")
    begins = live.run(*command).json["begins"]
    assert (begins["run_id"], begins["step"], begins["how"]) == (run_id, 30, "checkpoint")


def test_the_form_that_goes_on_keeps_what_was_typed_and_a_model_is_made_from_the_page(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    run_id = told(app, storage, JobState.FAILED)
    address = f"/runs/{run_id}/checkpoints/30"
    form = engineer.browser.get(f"{address}/continue").text
    assert 'name="learning_rate" value="5e-5"' in form
    typed = {"num_train_epochs": "3", "learning_rate": "fast", "idempotency_key": "k"}
    wrong = engineer.browser.post(f"{address}/continue", data=typed)
    assert (wrong.status_code, 'value="fast"' in wrong.text) == (422, True)
    started = engineer.browser.post(f"{address}/continue", data={**typed, "learning_rate": "1e-5"})
    assert (started.status_code, started.headers["location"]) == (303, "/runs/2")
    kept = engineer.browser.post(f"{address}/keep")
    assert kept.headers["location"] == "/runs/3"
    begins = {run.id: run.begins.how for run in runs(app) if run.begins}
    assert begins == {2: "checkpoint", 3: "kept"}


def test_where_nothing_can_go_on_the_page_says_why_and_has_no_form(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    """Gone from the disk, never written, under way: nothing that is typed would help, before or after it was sent."""
    run_id = told(app, storage, None)

    def refuses(step: int, status: int, why: str) -> None:
        address = f"/runs/{run_id}/checkpoints/{step}/continue"
        for page in (engineer.browser.get(address), engineer.browser.post(address, data={"max_steps": "90"})):
            assert (page.status_code, why in visible_text(page.text)) == (status, True), page.text
            assert f'action="{address}"' not in page.text

    refuses(20, 409, "has not ended")
    with transaction(app.state.engine) as session:
        end(session, run_id, JobState.CANCELLED)
    refuses(10, 404, "no checkpoint of step 10 on the disk any more. There are: 20, 30.")
    refuses(15, 422, "has no checkpoint of step 15")
    assert len(runs(app)) == 1


def test_nothing_begins_while_the_run_is_under_way_or_on_other_arrays_or_another_programs_checkpoints(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    run_id = told(app, storage, None)
    path = f"/api/v1/runs/{run_id}/checkpoints/20/keep"
    early = engineer.api.post(path)
    assert (early.status_code, "has not ended" in early.json()["detail"]) == (409, True)
    assert engineer.api.delete(f"/api/v1/runs/{run_id}/checkpoints").status_code == 409

    def change(session: Session, **values: object) -> None:
        run = session.get_one(Run, run_id)
        run.config = run.config.model_copy(update=values)
        session.add(run)

    with transaction(app.state.engine) as session:
        end(session, run_id, JobState.FAILED)
        check = session.get_one(MaskCheck, session.get_one(Run, run_id).mask_check_id)
        check.arrays_hash = "c" * 64
        session.add(check)
    assert "made anew" in engineer.api.post(path).json()["detail"]
    with transaction(app.state.engine) as session:
        change(session, backend="axolotl")
    assert "its own" in engineer.api.post(path).json()["detail"]
    assert engineer.api.get(f"/api/v1/runs/{run_id}/checkpoints").json() == []
