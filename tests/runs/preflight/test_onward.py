"""Going on from a checkpoint, and keeping one, are starts as every other: the list is shown, and warnings are accepted by name."""

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.storage import Storage
from app.runs.models import Run
from tests.cli.conftest import LiveServer, live
from tests.runs.test_checkpoints import told
from tests.support.people import Person, visible_text

__all__ = ["live"]
pytestmark = pytest.mark.usefixtures("silent_bell")

MANY = {"num_train_epochs": 60, "early_stopping_patience": 0}


@pytest.fixture
def run_id(app: FastAPI, storage: Storage) -> int:
    """A run with far too high a learning rate from before there was a pre-flight, ended with checkpoints at 20 and 30."""
    found = told(app, storage, changes={"learning_rate": 5e-3})
    with transaction(app.state.engine) as session:
        run = session.get_one(Run, found)
        run.preflight = None
        session.add(run)
    return found


def test_rest_names_what_is_to_be_accepted_and_takes_it(engineer: Person, run_id: int) -> None:
    path = f"/api/v1/runs/{run_id}/checkpoints/20"
    for door, body in (("continue", {}), ("keep", None)):
        refused = engineer.api.post(f"{path}/{door}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "warnings")
        assert [one["field"] for one in refused.json()["errors"]] == ["learning_rate"]
        unknown = engineer.api.post(f"{path}/{door}", json={"accepted_warnings": ["all"]})
        assert (unknown.status_code, unknown.json()["field"]) == (422, "accepted_warnings")
    look = engineer.api.post(f"{path}/preflight", json={"changes": MANY}).json()
    assert look["may_start"] is False
    assert [one["name"] for one in look["preflight"] if one["level"] == "warning"] == [
        "learning_rate",
        "epochs",
    ]
    # What is so here and now is looked at as well.
    assert {"approvals", "precision"} <= {one["name"] for one in look["preflight"]}
    calmer = engineer.api.post(f"{path}/preflight", json={"changes": {"learning_rate": 5e-5}}).json()
    assert calmer["may_start"] is True
    accepted = {"accepted_warnings": ["learning_rate"]}
    assert engineer.api.post(f"{path}/preflight", json={**accepted, "keep": True}).json()["may_start"] is True
    for door in ("continue", "keep"):
        made = engineer.api.post(f"{path}/{door}", json=accepted)
        assert made.status_code == 201, made.text
        (kept,) = made.json()["preflight"]["accepted"]
        assert (kept["name"], kept["by_user_id"]) == ("learning_rate", engineer.actor.user_id)
        # What was accepted of the run that goes on stays so, where nothing of it changed.
        child = made.json()["id"]
        assert engineer.api.post(f"/api/v1/runs/{child}/again").status_code == 201


def test_the_pages_show_the_list_and_keep_what_was_ticked(engineer: Person, run_id: int) -> None:
    address = f"/runs/{run_id}/checkpoints/20"
    form = engineer.browser.get(f"{address}/continue").text
    assert "1 warning to accept" in visible_text(form)
    assert form.count('name="accepted"') == 1
    typed = {"learning_rate": "0.005", "num_train_epochs": "60", "early_stopping_patience": "0"}
    again = engineer.browser.post(f"{address}/continue", data={**typed, "accepted": ["learning_rate"]})
    assert again.status_code == 409
    assert "1 warning to accept" in visible_text(again.text)
    assert 'name="num_train_epochs" value="60"' in again.text
    started = engineer.browser.post(
        f"{address}/continue", data={**typed, "accepted": ["learning_rate", "epochs"]}
    )
    assert started.status_code == 303
    asked = engineer.browser.post(f"{address}/keep")
    assert asked.status_code == 409
    assert f'action="{address}/keep"' in asked.text
    assert "0.005 is far above" in visible_text(asked.text)
    kept = engineer.browser.post(f"{address}/keep", data={"accepted": ["learning_rate"]})
    assert kept.status_code == 303
    # Why there is no list is said beside the field that is to change.
    last = visible_text(engineer.browser.get(f"/runs/{run_id}/checkpoints/15/continue").text)
    assert "has no checkpoint of step 15" in last


def test_the_commands_say_what_stands_against_it_and_accept_by_name(live: LiveServer, run_id: int) -> None:
    at = ("--run", str(run_id), "--step", "20")
    for command in ("continue", "keep"):
        looked = live.run(command, *at, "--dry-run")
        assert (looked.code, "--accept learning_rate" in looked.error) == (1, True)
        assert live.run(command, *at, "--dry-run", "--accept", "learning_rate").code == 0
        refused = live.run(command, *at, "--no-wait")
        assert (refused.code, "learning_rate" in refused.error) == (1, True)
        made = live.run(command, *at, "--accept", "learning_rate", "--no-wait", "--json").json
        assert [one["name"] for one in made["preflight"]["accepted"]] == ["learning_rate"]
    again = live.run("again", "--run", str(run_id), "--dry-run", "--json")
    assert (again.code, {one["name"] for one in again.json} >= {"learning_rate", "precision"}) == (1, True)
