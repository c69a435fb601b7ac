"""A gate over a sweep: every run is judged, and one of them has to pass, or all; never a pass for want of a number."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.runs.models import Run
from app.runs.result import RunResult
from tests.cli.conftest import LiveServer, live
from tests.runs.sweeps.conftest import check_id, start, tell
from tests.support.people import Person, problem_of, visible_text
from tests.support.training import run_result

__all__ = ["check_id", "live"]
pytestmark = pytest.mark.usefixtures("silent_bell")
SEEDS = {"fields": ["seed"], "values": [1, 2, 3]}


@pytest.fixture
def sweep(app: FastAPI, engineer: Person, check_id: int) -> int:
    """Of three runs: the first ended at a held-out loss of 2.0, the second at 3.0, the third waits."""
    found: int = start(engineer, check_id, axes=[SEEDS], name="Seeds").json()["id"]
    for run_id, loss in ((1, 2.0), (2, 3.0)):
        ended(app, run_id, loss)
    return found


def ended(app: FastAPI, run_id: int, loss: float) -> None:
    tell(app, run_id, 4.0, loss)
    with transaction(app.state.engine) as session:
        run = session.get_one(Run, run_id)
        run.result = RunResult.stored(run_result(eval_loss=loss))
        run.adapter_key = "jobs/9/1/adapter"
        session.add(run)


def asked(engineer: Person, sweep: int, **params: Any) -> Any:
    return engineer.api.get(f"/api/v1/sweeps/{sweep}/gate", params=params)


def test_one_run_that_passes_is_enough_or_all_have_to(app: FastAPI, engineer: Person, sweep: int) -> None:
    found = asked(engineer, sweep, max="held_out_loss=2.5").json()
    assert (found["passed"], found["need"], found["best_run_id"]) == (True, "any", 1)
    assert [one["gate"] and one["gate"]["passed"] for one in found["runs"]] == [True, False, None]
    assert [one["values"] for one in found["runs"]] == [{"seed": "1"}, {"seed": "2"}, {"seed": "3"}]
    assert "has not ended yet" in found["runs"][2]["why"]
    # The second did not pass, whatever comes of the third.
    assert asked(engineer, sweep, max="held_out_loss=2.5", need="all").json()["passed"] is False
    # Here all hangs on the third.
    for params in ({"max": "held_out_loss=3.5", "need": "all"}, {"max": "held_out_loss=1.5"}):
        waiting = asked(engineer, sweep, **params)
        assert (
            waiting.status_code,
            "could not be judged: 3. Run 3 has not ended" in problem_of(waiting),
        ) == (
            409,
            True,
        )
    tell(app, 3, failed=True)
    lost = asked(engineer, sweep, max="held_out_loss=1.5").json()
    assert (lost["passed"], lost["best_run_id"]) == (False, None)
    assert asked(engineer, sweep, max="held_out_loss=3.5", need="all").json()["passed"] is False
    both = asked(engineer, sweep, max="held_out_loss=3.5").json()
    assert (both["passed"], both["best_run_id"]) == (True, 1)
    # One that is held against itself says nothing of the others: the only other one with weights is worse.
    for need, reference, passes in (
        ("any", 1, False),
        ("all", 1, False),
        ("any", 2, True),
        ("all", 2, False),
    ):
        held = asked(engineer, sweep, against=reference, need=need).json()
        assert held["passed"] is passes, (need, reference)
        assert "the run itself" in held["runs"][reference - 1]["why"]


def test_what_none_of_the_runs_has_is_refused_by_field_and_a_sweep_without_weights_is_not_judged(
    app: FastAPI, engineer: Person, sweep: int
) -> None:
    tell(app, 3, failed=True)
    wrong = asked(engineer, sweep, max="held_out_los=2")
    assert wrong.status_code in (409, 422)
    assert "Is it held_out_loss?" in problem_of(wrong)
    for params, field in (({}, "min"), ({"max": "x"}, "max"), ({"max": "steps=1", "need": "most"}, "need")):
        refused = asked(engineer, sweep, **params)
        assert (refused.status_code, refused.json()["errors"][0]["field"] if field == "need" else field) == (
            422,
            field,
        )
    assert asked(engineer, 99, max="steps=1").status_code == 404
    with transaction(app.state.engine) as session:
        for run_id in (1, 2):
            run = session.get_one(Run, run_id)
            run.adapter_key = None
            session.add(run)
    nothing = asked(engineer, sweep, max="steps=9")
    assert (nothing.status_code, "ended without weights" in problem_of(nothing)) == (409, True)


def test_the_page_shows_every_run_and_the_command_of_ci(engineer: Person, sweep: int) -> None:
    assert f'href="/sweeps/{sweep}/gate"' in engineer.browser.get(f"/sweeps/{sweep}").text
    address = f"/sweeps/{sweep}/gate"
    empty = visible_text(engineer.browser.get(address).text)
    assert "held_out_loss" in empty
    html = engineer.browser.get(address, params={"max": "held_out_loss=2.5", "need": "any"}).text
    text = " ".join(visible_text(html).split())
    for said in ("Passed", "Not judged", "held_out_loss is 3 and must be at most 2.5", "seed 2"):
        assert said in text
    assert f"sft-studio gate --sweep {sweep} --need any --max held_out_loss=2.5" in text
    junit = engineer.api.get(f"/api/v1/sweeps/{sweep}/gate/junit?max=held_out_loss=2.5&need=all").text
    assert ET.fromstring(junit).get("failures") == "2"
    markdown = engineer.api.get(f"/api/v1/sweeps/{sweep}/gate/markdown?max=held_out_loss=2.5").text
    assert markdown.startswith("## ✅")
    assert "| ✅ | 1 ★ | seed 1 |" in markdown
    wrong = visible_text(engineer.browser.get(address, params={"max": "held_out_loss"}).text)
    assert "wants metric=value" in wrong


def test_the_command_ends_with_the_exit_codes_of_the_contract(
    app: FastAPI, live: LiveServer, sweep: int, tmp_path: Path
) -> None:
    command = ("gate", "--sweep", str(sweep), "--no-wait", "--max")
    junit, markdown = tmp_path / "gate.xml", tmp_path / "gate.md"
    passed = live.run(*command, "held_out_loss=2.5", "--junit", str(junit), "--markdown", str(markdown))
    assert (passed.code, "1 ★" in passed.stdout) == (0, True)
    assert ET.parse(junit).getroot().get("skipped") == "2"
    assert markdown.read_text("utf-8").startswith("## ✅")
    assert live.run(*command, "held_out_loss=2.5", "--need", "all").code == 1
    unjudged = live.run(*command, "held_out_loss=1.5", "--junit", str(junit))
    assert (unjudged.code, ET.parse(junit).getroot().get("errors")) == (2, "1")
    assert live.run("gate", "--max", "steps=1").code == 2
    assert live.run("gate", "--run", "1", "--sweep", "1", "--max", "steps=1").code == 2
    tell(app, 3, failed=True)
    waited = live.run("gate", "--sweep", str(sweep), "--max", "held_out_loss=1.5", "--json")
    assert (waited.code, waited.json["passed"]) == (1, False)
