"""A start is refused by errors and by warnings that nobody accepted, at every door; what was accepted stays with the run."""

import re
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import update
from sqlmodel import select

from app.conversations.models import Conversation
from app.core.database import reading, transaction, utc_now
from app.runs.handler import provenance_of
from app.runs.lineage import lineage_of
from app.runs.models import Run
from app.runs.preflight.items import Name
from tests.support.people import Person, problem_of, visible_text
from tests.support.training import make_check

pytestmark = pytest.mark.usefixtures("silent_bell")
HTMX = {"HX-Request": "true"}


@pytest.fixture
def body(app: FastAPI) -> dict[str, Any]:
    """A start that the pre-flight warns of twice: far too high a learning rate, and words changed since the freeze."""
    with transaction(app.state.engine) as session:
        check = make_check(session, app.state.storage)
        session.exec(
            update(Conversation).where(Conversation.id == 3).values(updated_at=utc_now(), outcome="lost")
        )
    return {"mask_check_id": check.id, "confirmed": True, "changes": {"learning_rate": 5e-3}}


WAITING = ["approvals", "learning_rate"]


def test_rest_refuses_with_the_names_and_starts_once_each_is_accepted(
    engineer: Person, body: dict[str, Any]
) -> None:
    refused = engineer.api.post("/api/v1/runs", json=body)
    assert refused.status_code == 409
    told = refused.json()
    assert (told["code"], told["field"]) == ("warnings", "accepted_warnings")
    assert [one["field"] for one in told["errors"]] == WAITING
    assert "--accept NAME" in problem_of(refused)
    half = engineer.api.post("/api/v1/runs", json={**body, "accepted_warnings": ["approvals"]})
    assert [one["field"] for one in half.json()["errors"]] == ["learning_rate"]
    unknown = engineer.api.post("/api/v1/runs", json={**body, "accepted_warnings": ["all"]})
    assert (unknown.status_code, unknown.json()["field"]) == (422, "accepted_warnings")

    # A warning that does not stand now may be accepted all the same; it is not kept.
    started = engineer.api.post("/api/v1/runs", json={**body, "accepted_warnings": [*WAITING, "memory"]})
    assert started.status_code == 201, started.text
    kept = started.json()["preflight"]
    assert [one["name"] for one in kept["accepted"]] == WAITING
    (first, _second) = kept["accepted"]
    assert first["by"].startswith(engineer.actor.name)
    assert first["by_user_id"] == engineer.actor.user_id
    assert first["by_token_id"] is not None
    assert "1 were changed" in first["detail"]
    assert {one["name"] for one in kept["items"]} >= {"mask_check", "leak", "precision", "evaluation"}


def test_the_plan_tells_the_same_list_and_whether_it_may_start(
    engineer: Person, body: dict[str, Any]
) -> None:
    asked = {"dataset_version_id": 1, "base_model_id": 1, "changes": body["changes"]}
    told = engineer.api.post("/api/v1/runs/plan", json=asked).json()
    assert told["may_start"] is False
    warnings = {one["name"]: one for one in told["preflight"] if one["level"] == "warning"}
    assert list(warnings) == WAITING
    assert warnings["learning_rate"]["changes"] == {"learning_rate": "5e-5"}
    accepted = engineer.api.post("/api/v1/runs/plan", json={**asked, "accepted_warnings": WAITING}).json()
    assert accepted["may_start"] is True
    unasked = engineer.api.post("/api/v1/runs/plan", json={**asked, "confirmed": False}).json()
    assert [one["name"] for one in unasked["preflight"] if one["level"] == "error"] == ["confirmed"]
    wrong = engineer.api.post("/api/v1/runs/plan", json={**asked, "accepted_warnings": ["nonsense"]})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "accepted_warnings")


def test_a_run_again_takes_along_what_was_accepted_where_the_evidence_is_the_same_and_asks_for_the_rest(
    app: FastAPI, engineer: Person, admin: Person, body: dict[str, Any]
) -> None:
    accepted = {"accepted_warnings": WAITING}
    assert engineer.api.post("/api/v1/runs", json={**body, **accepted}).status_code == 201
    assert admin.api.post("/api/v1/runs/1/again/preflight").json()["may_start"] is True
    kept = admin.api.post("/api/v1/runs/1/again").json()["preflight"]["accepted"]
    # By whom it was accepted stays with it.
    assert [(one["name"], one["by_user_id"]) for one in kept] == [
        (name, engineer.actor.user_id) for name in WAITING
    ]
    with transaction(app.state.engine) as session:
        session.exec(
            update(Conversation).where(Conversation.id == 4).values(updated_at=utc_now(), outcome="lost")
        )
    look = admin.api.post("/api/v1/runs/1/again/preflight").json()
    assert {one["name"]: one["accepted"] for one in look["preflight"] if one["level"] == "warning"} == {
        "approvals": False,
        "learning_rate": True,
    }
    page = admin.browser.post("/runs/1/again")
    assert page.status_code == 409
    text = visible_text(page.text)
    for said in ("1 warning to accept", "2 were changed", f"Accepted by {engineer.actor.name}"):
        assert said in text
    assert page.text.count('name="accepted"') == 1
    made = admin.browser.post("/runs/1/again", data={"accepted": ["approvals"]})
    assert made.status_code == 303
    run = admin.api.get(f"/api/v1{made.headers['location']}").json()
    assert [one["by_user_id"] for one in run["preflight"]["accepted"]] == [
        admin.actor.user_id,
        engineer.actor.user_id,
    ]


def test_a_run_from_before_there_was_a_list_has_all_of_it_accepted_by_name_when_it_is_made_again(
    app: FastAPI, engineer: Person, body: dict[str, Any]
) -> None:
    accepted = {"accepted_warnings": WAITING}
    assert engineer.api.post("/api/v1/runs", json={**body, **accepted}).status_code == 201
    with transaction(app.state.engine) as session:
        run = session.get_one(Run, 1)
        run.preflight = None
        session.add(run)
    for refused in (engineer.api.post("/api/v1/runs/1/again"), engineer.browser.post("/runs/1/again")):
        assert refused.status_code == 409
    assert engineer.api.post("/api/v1/runs/1/again", json=accepted).status_code == 201
    page = visible_text(engineer.browser.get("/runs/1").text)
    assert "started before there was a pre-flight" in page


def test_the_form_has_a_tick_for_each_and_keeps_what_was_ticked(
    app: FastAPI, engineer: Person, body: dict[str, Any]
) -> None:
    form = {
        "version": "1",
        "model": "1",
        "recipe": "standard",
        "train_on": "assistant",
        "handling": "whole",
        "max_length": "2048",
        "control_tokens": "neutralise",
        "train_reasoning": "true",
        "mask_check_id": "1",
        "confirmed": "true",
        "idempotency_key": "click",
        "learning_rate": "0.005",
    }
    pane = engineer.browser.post("/runs/new/plan", data=form, headers=HTMX).text
    assert 'id="preflight" hx-swap-oob="true"' in pane
    assert "2 warnings to accept" in visible_text(pane)
    assert pane.count('name="accepted"') == 2
    assert "accept all" not in pane.lower()
    assert 'data-set-field="learning_rate" data-set-value="5e-5"' in pane

    ticked = {**form, "accepted": ["learning_rate"]}
    half = engineer.browser.post("/runs/new/plan", data=ticked, headers=HTMX).text
    assert "1 warning to accept" in visible_text(half)
    whole = engineer.browser.post("/runs/new/plan", data={**form, "accepted": WAITING}, headers=HTMX).text
    assert "2 warnings accepted" in visible_text(whole)
    assert "Nothing stands against it" not in visible_text(whole)
    refused = engineer.browser.post("/runs", data=ticked)
    assert refused.status_code == 409
    assert "approvals" in visible_text(refused.text)
    ticks = re.findall(r'<input[^>]*name="accepted"[^>]*>', refused.text)
    assert ["checked" in tick for tick in ticks] == [False, True]

    started = engineer.browser.post("/runs", data={**form, "accepted": WAITING})
    assert (started.status_code, started.headers["location"]) == (303, "/runs/1")
    with reading(app.state.engine) as session:
        kept = session.exec(select(Run)).one().preflight
    assert kept is not None
    assert [(one.name, one.by, one.by_token_id) for one in kept.accepted] == [
        (name, engineer.actor.name, None) for name in WAITING
    ]


def test_what_was_accepted_is_on_the_page_the_checklist_the_manifest_and_among_the_facts_of_the_files(
    app: FastAPI, engineer: Person, body: dict[str, Any]
) -> None:
    assert engineer.api.post("/api/v1/runs", json={**body, "accepted_warnings": WAITING}).status_code == 201
    text = visible_text(engineer.browser.get("/runs/1").text)
    assert "0.005 is far above" in text
    assert f"Accepted by {engineer.actor.name}" in text
    manifest = engineer.api.get("/api/v1/runs/1/manifest").json()
    assert [one["name"] for one in manifest["preflight"]["accepted"]] == WAITING
    lines = {one["code"]: one for one in engineer.api.get("/api/v1/runs/1/checklist").json()}
    assert (lines["preflight"]["state"], lines["preflight"]["link"]) == ("warn", "/runs/1#preflight")
    with reading(app.state.engine) as session:
        run = session.get_one(Run, 1)
        lineage = lineage_of(session, run)
        facts = provenance_of(session, run, lineage["check"], lineage["model"])
    assert [one.name for one in facts.accepted_warnings] == WAITING
    assert engineer.actor.name not in facts.model_dump_json()


def test_a_red_check_is_accepted_by_its_reason_alone(app: FastAPI, engineer: Person) -> None:
    with transaction(app.state.engine) as session:
        make_check(session, app.state.storage, green=False)
    body = {"mask_check_id": 1, "confirmed": True, "override_reason": "Known"}
    kept = engineer.api.post("/api/v1/runs", json=body).json()["preflight"]["accepted"]
    assert [one["name"] for one in kept] == ["mask_check"]
    assert "Known" in kept[0]["detail"]


def test_names_that_scripts_use_stay() -> None:
    assert list(Name) == [
        "mask_check",
        "confirmed",
        "approvals",
        "mix_approvals",
        "leak",
        "mix_leak",
        "held_out",
        "mix_held_out",
        "truncated",
        "template",
        "end_of_turn",
        "config",
        "learning_rate",
        "warm_up",
        "epochs",
        "precision",
        "memory",
        "disk",
        "evaluation",
    ]
