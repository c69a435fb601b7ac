"""`sft-studio sweep` and `sweeps`: a group of runs from a shell."""

import pytest
from fastapi import FastAPI

from app.cli.sweeping import wait_for_sweep
from app.client.rest import StudioClient
from app.core.database import transaction
from tests.cli.conftest import LiveServer
from tests.runs.sweeps.conftest import tell
from tests.support.training import ARRAYS_HASH, make_check

pytestmark = pytest.mark.usefixtures("silent_bell")


@pytest.fixture
def ready(app: FastAPI) -> None:
    """A dataset whose newest version is checked on a ready model, with the settings that a command asks for."""
    with transaction(app.state.engine) as session:
        check = make_check(session, app.state.storage)
        assert check.arrays_hash == ARRAYS_HASH


COMMAND = ("sweep", "--dataset", "Calls", "--model", "small", "--set", "max_length=2048")


@pytest.mark.usefixtures("ready")
def test_a_sweep_is_planned_started_looked_at_and_stopped(app: FastAPI, live: LiveServer) -> None:
    values = (
        "--set",
        "learning_rate=2e-5,5e-5",
        "--set",
        "lora_r:lora_alpha=16:32,64:128",
        "--set",
        "seed=7",
    )
    plan = live.run(*COMMAND, *values, "--plan", "--json")
    assert plan.json["runs"][0]["values"] == "learning_rate 2e-5, lora_r 16, lora_alpha 32"
    assert live.run("sweeps", "list", "--json").json == []
    made = live.run(*COMMAND, *values, "--name", "Rates", "--no-wait", "--json").json
    assert (len(made["runs"]), made["name"]) == (4, "Rates")
    tell(app, 1, 3.0, 2.5)
    shown = live.run("sweeps", "show", "1").stdout
    assert "2.5000" in shown
    assert "★" in shown
    assert live.run("sweeps", "rename", "1", "Two rates", "--json").json["name"] == "Two rates"
    stopped = live.run("sweeps", "stop", "1", "--json").json
    assert [run["state"] for run in stopped["runs"]] == ["succeeded", "cancelled", "cancelled", "cancelled"]
    assert "None of these runs waits" in live.run("sweeps", "stop", "1").error
    assert "Two rates" in live.run("sweeps", "list").stdout


@pytest.mark.usefixtures("ready")
def test_what_is_no_sweep_is_refused_before_anything_is_done(live: LiveServer) -> None:
    for values, sentence in (
        ("learning_rate=2e-5", "Nothing differs"),
        ("colour=1,2", "there is no setting “colour”"),
        ("lora_r:lora_alpha=16:32,64", "“64” needs 2 values"),
        ("lora_r=0,8", "lora_r must be at least 1"),
        ("seed=[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25]", "25 runs are asked for"),
    ):
        assert sentence in live.run(*COMMAND, "--set", values).error
    both = ("--set", "lora_r=8", "--set", "lora_r:lora_alpha=16:32,64:128")
    assert "lora_r is varied, so it has no value of its own" in live.run(*COMMAND, *both).error
    assert live.run("sweeps", "list", "--json").json == []


@pytest.mark.usefixtures("ready")
def test_waiting_ends_with_the_last_run(app: FastAPI, live: LiveServer) -> None:
    live.run(*COMMAND, "--set", "seed=1,2", "--no-wait")
    tell(app, 1, 3.0, 2.5)
    tell(app, 2, failed=True)
    with StudioClient(live.url, live.token) as client:
        ended = wait_for_sweep(client, client.sweep(1))
    assert (ended.is_over, ended.best_run_id) == (True, 1)


@pytest.mark.usefixtures("ready")
def test_the_plan_names_what_stands_against_any_run_and_ends_with_one(live: LiveServer) -> None:
    values = (*COMMAND, "--set", "learning_rate=5e-5,5e-3", "--plan")
    looked = live.run(*values)
    assert (looked.code, "--accept learning_rate" in looked.error) == (1, True)
    assert "0.005 is far above" in looked.stdout
    assert live.run(*values, "--accept", "learning_rate").code == 0
    refused = live.run(*values[:-1], "--no-wait")
    assert (refused.code, "learning_rate" in refused.error) == (1, True)
    made = live.run(*values[:-1], "--accept", "learning_rate", "--no-wait", "--json").json
    assert [run["accepted"] for run in made["runs"]] == [[], ["learning_rate"]]
