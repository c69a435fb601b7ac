"""A run made once more is the same run: what decides its numbers is the same, and what changed between two runs is told."""

import json
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.accounts.models import Role
from app.conversations.models import Conversation
from app.core.database import transaction
from app.jobs import service as jobs
from app.jobs.handlers import Workplace
from app.jobs.models import JobState
from app.mask_checks.models import MaskCheck
from app.recipes.recipes import build_config
from app.runs.environment import Environment
from app.runs.handler import Train
from app.runs.models import Run
from app.runs.new_run import NewRunForm
from app.runs.result import Pieces, RunResult, TrainingPlan
from app.runs.service import RunRequest, require_run, start_run
from tests.cli.conftest import LiveServer, live
from tests.support.people import make_person
from tests.support.small_runs import price_questions, train
from tests.support.training import ENGINEER, make_run, metric, run_result

__all__ = ["live"]
pytestmark = pytest.mark.usefixtures("silent_bell")
THEN = Environment(python="3.11.4", libraries={"torch": "2.13.0"}, device="Processor X", threads=2)
PIECES = Pieces(device="cuda", rows="varlen", adapter="peft")


def _ended(app: FastAPI, loss: float = 2.0, environment: Environment = THEN, **changes: object) -> int:
    """A run that ended, with a time budget and a precision that the machine chose."""
    plan = TrainingPlan(steps=7, wanted_steps=40, minutes=5.0, precision="float32", pieces=PIECES)
    with transaction(app.state.engine) as session:
        run, job = make_run(session, app.state.storage, changes={"max_train_minutes": 5, **changes})
        claim = jobs.claim(session, job.id or 0, owner="test", lease_seconds=30)
        assert claim is not None
        evals: list[jobs.EventData] = [("eval", {"step": 7, "eval_loss": loss + 0.5})]
        jobs.finish(session, claim, JobState.SUCCEEDED, result={}, events=[metric(7, loss), *evals])
        run.result = RunResult.stored(run_result(plan=plan, environment=environment))
        run.adapter_key = "jobs/9/1/adapter"
        session.add(run)
        return run.id or 0


def test_a_run_made_again_has_the_same_arrays_and_what_the_machine_decided(
    app: FastAPI, live: LiveServer
) -> None:
    first = _ended(app)
    made = live.run("again", "--run", str(first), "--no-wait", "--json").json
    before = live.run("status", "--run", str(first), "--json").json
    for name in ("mask_check_id", "base_model_id", "dataset_version_id", "arrays_hash", "recipe"):
        assert made[name] == before[name]
    differing = {name for name, value in made["config"].items() if value != before["config"][name]}
    assert differing == {"bf16", "max_train_minutes", "max_steps"}
    assert (made["config"]["bf16"], made["config"]["max_steps"]) == (False, 7)
    with transaction(app.state.engine) as session:
        again = require_run(session, made["id"])
        claim = jobs.claim(session, again.job_id, owner="test", lease_seconds=30)
        assert claim is not None
        place = Workplace(app.state.settings, app.state.storage, f"jobs/{again.job_id}/1")
        assert Train(lambda _session, _run: None).child_input(session, place, claim).pieces == PIECES
    browser = make_person(app, Role.ENGINEER).browser
    page = browser.get(f"/runs/{first}").text
    assert f'action="/runs/{first}/again"' in page
    assert "Processor X" in page
    with transaction(app.state.engine) as session:
        check = session.get_one(MaskCheck, before["mask_check_id"])
        check.arrays_hash = "c" * 64
        session.add(check)
    refused = live.run("again", "--run", str(first), "--no-wait")
    assert (refused.code, "cannot be made again" in refused.error) == (1, True)


def test_a_run_like_another_has_its_settings_but_for_what_is_changed(app: FastAPI, live: LiveServer) -> None:
    first = _ended(app, lora_r=8, lora_alpha=16, seed=5)
    again = (
        "again",
        "--run",
        str(first),
        "--set",
        "learning_rate=2e-5",
        "--idempotency-key",
        "like",
        "--json",
    )
    items = live.run("again", "--run", str(first), "--set", "learning_rate=2e-5", "--dry-run", "--json").json
    assert {one["name"] for one in items} >= {"mask_check", "learning_rate"}
    made = live.run(*again, "--no-wait").json
    before = live.run("status", "--run", str(first), "--json").json
    differing = {name for name, value in made["config"].items() if value != before["config"][name]}
    # The steps that the time budget came to are kept as a number; the machine may decide on the precision anew.
    assert differing == {"learning_rate", "max_steps", "max_train_minutes"}
    assert (made["config"]["learning_rate"], made["config"]["max_steps"]) == (2e-5, 7)
    for name in (
        "mask_check_id",
        "base_model_id",
        "dataset_version_id",
        "arrays_hash",
        "recipe",
        "evaluate_with",
    ):
        assert made[name] == before[name]
    assert live.run(*again, "--no-wait").json["id"] == made["id"]
    other = live.run(*again, "--set", "seed=6", "--no-wait")
    assert "other settings than these" in other.error
    # The form for the same change asks for the same config.
    with transaction(app.state.engine) as session:
        run = require_run(session, first)
        check = session.get_one(MaskCheck, run.mask_check_id)
        form = NewRunForm.like(run, check)
        form.values["learning_rate"] = "2e-5"
        assert build_config("standard", form.choice().changes).to_json() == made["config"]
    for wrong, said in (("lora_r=0", "lora_r must be at least 1"), ("fancy=1", "fancy")):
        refused = live.run("again", "--run", str(first), "--set", wrong, "--no-wait")
        assert (refused.code, said in refused.error) == (1, True)


def test_the_manifest_holds_whatever_decides_the_numbers(app: FastAPI, live: LiveServer) -> None:
    run_id = _ended(app)
    manifest = live.run("manifest", "--run", str(run_id)).json
    with transaction(app.state.engine) as session:
        run = session.get_one(Run, run_id)
        assert manifest["config"] == json.loads(json.dumps(run.config.to_json()))
    assert manifest["environment"] == THEN.model_dump()
    assert manifest["provenance"]["arrays_hash"] == "a" * 64
    assert len(manifest["provenance"]["version_hash"]) == 64
    assert (manifest["seed"], manifest["precision"], manifest["steps"]) == (42, "float32", 3)
    assert manifest["mask_settings"]["train_on"] == "assistant"


def test_what_changed_between_two_runs_is_told_on_the_page_by_rest_and_by_the_command(
    app: FastAPI, live: LiveServer
) -> None:
    from app.datasets.service import require_dataset
    from app.versions.freezing import freeze
    from app.versions.service import require_version

    first = _ended(app)
    with transaction(app.state.engine) as session:
        run = require_run(session, first)
        old = require_version(session, run.dataset_version_id)
        row = session.get_one(Conversation, 1)
        row.messages = [{"role": "user", "content": "Changed?"}, {"role": "assistant", "content": "Yes."}]
        session.add(row)
        session.delete(session.get_one(Conversation, 2))
        session.flush()
        new = freeze(session, app.state.storage, require_dataset(session, old.dataset_id), ENGINEER).version
        request = RunRequest(run.mask_check_id, "standard", {"seed": "7"}, "Second", confirmed=True)
        second, _job = start_run(session, ENGINEER, request)
        second.dataset_version_id = new.id or 0
        claim = jobs.claim(session, second.job_id, owner="test", lease_seconds=30)
        assert claim is not None
        jobs.finish(session, claim, JobState.SUCCEEDED, result={}, events=[metric(7, 1.5)])
        now = THEN.model_copy(update={"libraries": {"torch": "2.14.0"}, "device": "Processor Y"})
        second.result = RunResult.stored(run_result(environment=now))
        session.add(second)
        second_id = second.id
    found = live.run("compare", "--run", str(first), "--run", str(second_id), "--json").json
    assert found["runs"][0]["data"] is None
    assert found["runs"][1]["data"] == {"added": 0, "changed": 1, "removed": 1}
    assert found["runs"][1]["train_loss_gap"] == -0.5
    rows = {row["label"]: row["values"] for row in found["differences"]}
    assert rows["Device"] == ["Processor X", "Processor Y"]
    assert ["2.13.0" in rows["Libraries"][0], "2.14.0" in rows["Libraries"][1]] == [True, True]
    assert rows["Dataset version"][0] != rows["Dataset version"][1]
    assert {row["name"] for row in found["differences"]} >= {"seed", "max_train_minutes"}
    page = make_person(app, Role.ANNOTATOR).browser.get(f"/runs/compare?run={first}&run={second_id}").text
    assert "0 conversations more, 1 changed, 1 gone" in page
    assert "-0.500" in page
    assert "1 changed, 1 gone" in live.run("compare", "--run", str(first), "--run", str(second_id)).stderr


def test_the_same_run_gives_the_same_losses_to_the_last_bit(tmp_path: Path) -> None:
    pairs = price_questions()[:12]
    changes = {"max_steps": 4, "lora_dropout": 0.1, "seed": 5}
    runs = [
        train(tmp_path / name, training=pairs[:8], held_out=pairs[8:], **changes) for name in ("one", "two")
    ]
    losses = [
        [event["loss"] for event in run.events if event["event"] == "metric"]
        + [event["eval_loss"] for event in run.events if event["event"] == "eval"]
        for run in runs
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) > 4
    (told,) = [event for event in runs[0].events if event["event"] == "result"]
    environment = Environment.model_validate(told["environment"])
    assert environment.device
    assert {"torch", "transformers", "peft"} <= environment.libraries.keys()
