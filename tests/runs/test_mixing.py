"""A second dataset beside a run's own: asked for at every door, refused where it does not fit, and kept as what the run is made of."""

from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.core.database import transaction
from app.core.storage import Storage
from app.curation.removal import plan_removal
from app.erasure.holders import users_of
from app.exports.card import adapter_style, model_card
from app.files import APP_FOLDER
from app.jobs import service as jobs
from app.jobs.handlers import Workplace
from app.jobs.models import JobState
from app.mask_checks.models import MaskCheck
from app.masking import MaskSettings
from app.runs.handler import Train
from app.runs.models import Run
from app.runs.result import MixedResult, RunResult, TrainedAmount
from app.runs.service import require_run
from tests.cli.conftest import LiveServer, live
from tests.runs.under_way import runs
from tests.support.people import Person, problem_of, visible_text
from tests.support.training import (
    WORDS,
    ask_for_check,
    finish_check,
    make_check,
    make_mix_check,
    make_model,
    make_version,
    metric,
    run_result,
    write_arrays_of,
)

__all__ = ["live"]
pytestmark = pytest.mark.usefixtures("silent_bell")
HTMX = {"HX-Request": "true"}
AMOUNT = TrainedAmount(conversations=10, samples=10, tokens=900, trained_tokens=300)
MIXED = MixedResult(
    domain=AMOUNT,
    mixed_in=TrainedAmount(conversations=4, samples=4, tokens=300, trained_tokens=100),
    order="mixed",
    seed=42,
    available=8,
    left_out=1,
    arrays_hash="e" * 64,
    drawn="mixture.json",
    loss_before=2.0,
    loss_after=2.01,
)


@pytest.fixture
def checks(app: FastAPI, storage: Storage) -> tuple[int, int]:
    """Ids of two green checks that may be trained together."""
    with transaction(app.state.engine) as session:
        check = make_check(session, storage)
        return check.id or 0, make_mix_check(session, storage, check).id or 0


def start(engineer: Person, checks: tuple[int, int], **changes: Any) -> dict[str, Any]:
    body = {"mask_check_id": checks[0], "mix_check_id": checks[1], "confirmed": True, "changes": changes}
    answer = engineer.api.post("/api/v1/runs", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def finished(app: FastAPI, run_id: int, **changes: Any) -> None:
    """As the worker leaves a run whose loss on general conversations was measured beside."""
    with transaction(app.state.engine) as session:
        run = require_run(session, run_id)
        claim = jobs.claim(session, run.job_id, owner="test", lease_seconds=30)
        assert claim is not None
        told: list[jobs.EventData] = [metric(3), ("eval", {"step": 3, "eval_loss": 1.5, "mixed_loss": 2.01})]
        jobs.finish(session, claim, JobState.SUCCEEDED, result={}, events=told)
        run.result = RunResult.stored(run_result(mix=MIXED.model_copy(update=changes)))
        run.adapter_key = "jobs/9/1/adapter"
        session.add(run)


def test_a_run_reads_the_arrays_of_both_checks_and_says_where_they_are_from(
    app: FastAPI, engineer: Person, storage: Storage, checks: tuple[int, int]
) -> None:
    run = start(engineer, checks, mix_share=0.25, mix_order="curriculum")
    assert (run["mix_check_id"], run["mix_arrays_hash"]) == (checks[1], "d" * 64)
    with transaction(app.state.engine) as session:
        claim = jobs.claim(session, run["job"]["id"], owner="test", lease_seconds=30)
        assert claim is not None
        place = Workplace(settings=app.state.settings, storage=storage, output_key="jobs/7/1")
        told = Train(lambda _session, _run: None).child_input(session, place, claim)
        assert told.mixed_in is not None
        assert told.mixed_in.arrays_hash == "d" * 64
        assert told.provenance.mix is not None
        assert (told.provenance.mix.dataset, told.provenance.mix.share) == ("General", 0.25)
        result = RunResult.stored(run_result(mix=MIXED.model_copy(update={"order": "curriculum"})))
        card = model_card(told.provenance, told.config, result, adapter_style(told.provenance))
    assert "Mixed in, trained before the domain's: General, version 1" in card
    assert "4 conversations beside 10 of the domain (29%; 25% of the trained tokens)" in card
    manifest = engineer.api.get(f"/api/v1/runs/{run['id']}/manifest").json()
    assert manifest["provenance"]["mix"]["arrays_hash"] == "d" * 64


def test_what_does_not_fit_is_refused_by_field(app: FastAPI, engineer: Person, storage: Storage) -> None:
    with transaction(app.state.engine) as session:
        check = make_check(session, storage)
        other_model = make_model(session, name="other")
        version = make_version(session, storage, name="General")
        wrong = []
        for model_id, settings in (
            (other_model.id or 0, MaskSettings(max_length=2048)),
            (check.base_model_id, MaskSettings(max_length=1024)),
        ):
            found, _job = ask_for_check(
                session,
                storage,
                dataset_version_id=version.id or 0,
                base_model_id=model_id,
                settings=settings,
            )
            finish_check(session, found)
            wrong.append(found.id or 0)
        red = make_mix_check(session, storage, check, name="Red", green=False).id or 0
        own = check.id or 0
    reasons = (
        (own, "cannot be mixed in with itself"),
        (wrong[0], "another base model"),
        (wrong[1], "other mask settings"),
        (red, "mask check is red"),
    )
    for mix_check_id, reason in reasons:
        body = {"mask_check_id": own, "mix_check_id": mix_check_id, "confirmed": True}
        answer = engineer.api.post("/api/v1/runs", json=body)
        assert answer.status_code in (409, 422)
        assert reason in problem_of(answer)
    missing = {"mask_check_id": own, "mix_check_id": 99, "confirmed": True}
    assert engineer.api.post("/api/v1/runs", json=missing).status_code == 404
    assert runs(app) == []


def test_the_form_checks_both_with_one_click_and_starts_them_together(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        version, model = make_version(session, storage), make_model(session)
        general = make_version(session, storage, name="General")
    form = {
        "version": str(version.id),
        "model": str(model.id),
        "mix_version": str(general.id),
        "recipe": "standard",
        "train_on": "assistant",
        "handling": "whole",
        "max_length": "2048",
        "control_tokens": "neutralise",
        "train_reasoning": "true",
        "mix_share": "0.5",
        "confirmed": "true",
    }
    page = engineer.browser.post("/runs/new/check", data=form, headers=HTMX).text
    assert 'hx-get="/runs/new/check/1?mix=2"' in page
    with transaction(app.state.engine) as session:
        first, second = session.exec(select(MaskCheck).order_by(MaskCheck.id)).all()  # type: ignore[arg-type]
        finish_check(session, first)
    half = engineer.browser.get("/runs/new/check/1", params={"mix": 2}).text
    assert "data-check-done" not in half
    with transaction(app.state.engine) as session:
        second = session.get_one(MaskCheck, 2)
        finish_check(session, second)
        write_arrays_of(session, storage, session.get_one(MaskCheck, 1), {1: WORDS[:80]}, held_out=0)
        write_arrays_of(session, storage, second, {11: WORDS[80:]}, held_out=0)
    done = engineer.browser.get("/runs/new/check/1", params={"mix": 2}).text
    assert "data-check-done" in done
    assert "I have looked at the masks of both datasets" in visible_text(done)
    seen = {**form, "mask_check_id": str(first.id), "mix_check_id": str(second.id)}
    plan = " ".join(
        visible_text(engineer.browser.post("/runs/new/plan", data=seen, headers=HTMX).text).split()
    )
    assert "Mixed in 11 50 % Of the trained tokens 50 %" in plan
    # Somebody chose another second dataset meanwhile.
    other = engineer.browser.post("/runs", data={**seen, "mix_check_id": ""}, follow_redirects=False)
    assert other.status_code == 409
    started = engineer.browser.post("/runs", data=seen, follow_redirects=False)
    assert started.status_code == 303
    (run,) = runs(app)
    assert (run.mix_version_id, run.mix_check_id, run.config.mix_share) == (general.id, 2, 0.5)
    again = engineer.browser.get("/runs/new", params={"like": run.id or 0}).text
    assert f'<option value="{general.id}" selected>' in again
    itself = {**form, "mix_version": form["version"]}
    told = engineer.browser.post("/runs/new/check", data=itself, headers=HTMX).text
    assert "cannot be mixed in with itself" in told


def test_a_plan_counts_what_is_mixed_in_and_the_command_line_asks_for_it_too(
    live: LiveServer, checks: tuple[int, int]
) -> None:
    words = ("advise", "--dataset", "Calls", "--model", "small", "--mix", "General", "--mix-share", "0.4")
    plan = live.run(*words, "--json").json
    alone = live.run(*words[:5], "--json").json
    assert plan["mix"] == {
        "conversations": 7,
        "available": 11,
        "share": pytest.approx(7 / 18),
        "trained_share": pytest.approx(7 / 18, abs=0.01),
    }
    assert (plan["samples"], alone["samples"], alone["mix"]) == (18, 11, None)
    assert "7 conversations an epoch: 39%" in live.run(*words).stdout
    for wrong, reason in (("Nobody", "there is no dataset"), ("General@7", "no such frozen version")):
        assert reason in live.run(*words[:5], "--mix", wrong).error
    assert live.run("import", str(APP_FOLDER / "samples" / "sales.en.jsonl"), "--dataset", "Bare").code == 0
    assert "has no frozen version. Freeze" in live.run(*words[:5], "--mix", "Bare").error
    for itself in ("Calls", "Calls@1"):
        assert "cannot be mixed in with itself" in live.run(*words[:5], "--mix", itself).error
    twice = live.run(*words, "--set", "mix_share=0.2")
    assert "by an option of its own" in twice.error


def test_what_was_mixed_in_is_seen_on_the_run_its_checklist_and_beside_another_run(
    app: FastAPI, engineer: Person, checks: tuple[int, int]
) -> None:
    run_id = start(engineer, checks)["id"]
    finished(app, run_id)
    page = " ".join(visible_text(engineer.browser.get(f"/runs/{run_id}").text).split())
    assert "4 conversations beside 10: 29 % of the conversations, 25 % of the trained tokens" in page
    assert "General v1" in page
    curves = engineer.api.get(f"/api/v1/runs/{run_id}/curves").json()
    assert (curves["eval_loss"], curves["mixed_loss"]) == ([1.5], [2.01])
    (mix,) = [
        one for one in engineer.api.get(f"/api/v1/runs/{run_id}/checklist").json() if one["code"] == "mix"
    ]
    assert (mix["state"], mix["link"]) == ("pass", "/datasets/2/versions#version-1")
    metrics = engineer.api.get(
        f"/api/v1/runs/{run_id}/gate", params={"max": "mixed_held_out_loss=2.1"}
    ).json()
    assert metrics["passed"] is True
    alone = engineer.api.post("/api/v1/runs", json={"mask_check_id": checks[0], "confirmed": True}).json()
    compared = engineer.api.get("/api/v1/runs/compare", params={"run": [alone["id"], run_id]}).json()
    (row,) = [one for one in compared["differences"] if one["label"] == "Mixed in"]
    assert row["values"][0] == ""
    assert row["values"][1].startswith("General v1")
    listed = engineer.browser.get("/runs", params={"version": 2}).text
    assert f'href="/runs/{run_id}"' in listed
    assert f'href="/runs/{alone["id"]}"' not in listed


def test_a_rising_loss_on_what_is_general_asks_for_a_larger_share(
    app: FastAPI, engineer: Person, checks: tuple[int, int]
) -> None:
    run_id = start(engineer, checks)["id"]
    finished(app, run_id, loss_after=2.4)
    items = engineer.api.get(f"/api/v1/runs/{run_id}/checklist").json()
    (mix,) = [one for one in items if one["code"] == "mix"]
    assert mix["state"] == "warn"
    assert "rose from 2.000 to 2.400" in mix["evidence"]


def test_made_again_it_mixes_the_same_or_says_that_it_cannot(
    app: FastAPI, engineer: Person, checks: tuple[int, int]
) -> None:
    first = start(engineer, checks)
    again = engineer.api.post(f"/api/v1/runs/{first['id']}/again").json()
    assert (again["mix_check_id"], again["mix_arrays_hash"]) == (checks[1], "d" * 64)
    with transaction(app.state.engine) as session:
        beside = session.get_one(MaskCheck, checks[1])
        beside.arrays_hash = "f" * 64
        session.add(beside)
    refused = engineer.api.post(f"/api/v1/runs/{first['id']}/again")
    assert refused.status_code == 409
    assert "cannot be made again" in problem_of(refused)


def test_a_version_that_is_mixed_in_names_its_runs_and_cannot_be_removed(
    app: FastAPI, engineer: Person, checks: tuple[int, int]
) -> None:
    run_id = start(engineer, checks)["id"]
    with transaction(app.state.engine) as session:
        run = session.get_one(Run, run_id)
        assert [one.id for one in users_of(session, [run.mix_version_id or 0]).runs] == [run_id]
        assert plan_removal(session, 2).users["run"] == 1
    page = engineer.browser.get(f"/mask-checks/{checks[1]}").text
    assert f'href="/runs/{run_id}"' in page


def test_the_pre_flight_looks_at_both_checks_and_names_what_is_so_of_the_second(
    app: FastAPI, engineer: Person, storage: Storage, checks: tuple[int, int]
) -> None:
    with transaction(app.state.engine) as session:
        own, beside = (session.get_one(MaskCheck, one) for one in checks)
        assert own.report is not None
        assert beside.report is not None
        conversations = own.report.conversations + beside.report.conversations
        asked = {"dataset_version_id": own.dataset_version_id, "base_model_id": own.base_model_id}
        mixed = {"mask_check_id": checks[0], "mix_check_id": checks[1]}
    plan = engineer.api.post("/api/v1/runs/plan", json={**asked, **mixed}).json()
    (green,) = [one for one in plan["preflight"] if one["name"] == "mask_check"]
    assert f"Green: {conversations} conversations" in green["message"]
    newest = engineer.api.post(
        "/api/v1/runs/plan", json={**asked, "mix_version_id": beside.dataset_version_id}
    ).json()
    assert (newest["mix"], newest["steps"]) == (plan["mix"], plan["steps"])
    assert newest["preflight"] == plan["preflight"]
    swapped = {**asked, "mask_check_id": checks[0], "mix_check_id": checks[0]}
    assert engineer.api.post("/api/v1/runs/plan", json=swapped).status_code == 422

    with transaction(app.state.engine) as session:
        beside = session.get_one(MaskCheck, checks[1])
        assert beside.report is not None
        lost = {"truncated_samples": 2, "truncated_trained_tokens": 90, "longest": 4000}
        beside.report = beside.report.model_copy(update=lost)
        session.add(beside)
    (cut,) = [
        one
        for one in engineer.api.post("/api/v1/runs/plan", json={**asked, **mixed}).json()["preflight"]
        if one["name"] == "truncated"
    ]
    assert cut["level"] == "warning"
    assert cut["helps"].startswith("That is so of the dataset that is mixed in.")
    body = {**mixed, "confirmed": True}
    assert engineer.api.post("/api/v1/runs", json=body).json()["errors"][0]["field"] == "truncated"
    accepted = engineer.api.post("/api/v1/runs", json={**body, "accepted_warnings": ["truncated"]})
    assert accepted.status_code == 201

    with transaction(app.state.engine) as session:
        unfinished = session.get_one(MaskCheck, checks[1])
        unfinished.passed = None
        session.add(unfinished)
    items = engineer.api.post("/api/v1/runs/plan", json={**asked, **mixed}).json()["preflight"]
    (error,) = [one for one in items if one["level"] == "error"]
    assert error["name"] == "mask_check"


def test_all_runs_of_a_sweep_have_it_mixed_in_and_its_plan_counts_it(
    app: FastAPI, engineer: Person, checks: tuple[int, int]
) -> None:
    body = {
        "mask_check_id": checks[0],
        "mix_check_id": checks[1],
        "axes": [{"fields": ["mix_share"], "values": [0.2, 0.5]}],
    }
    plan = engineer.api.post("/api/v1/sweeps/plan", json=body).json()
    fewer, more = (run["steps"] for run in plan["runs"])
    assert fewer < more
    answer = engineer.api.post("/api/v1/sweeps", json={**body, "confirmed": True})
    assert answer.status_code == 201, answer.text
    assert [(run.mix_check_id, run.config.mix_share) for run in runs(app)] == [
        (checks[1], 0.2),
        (checks[1], 0.5),
    ]
    wrong = {**body, "mix_check_id": checks[0]}
    assert engineer.api.post("/api/v1/sweeps/plan", json=wrong).status_code == 422
