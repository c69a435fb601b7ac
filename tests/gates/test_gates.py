"""A gate says pass only where every number that was asked for is there and good enough."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlmodel import Session

from app.accounts.models import Role
from app.core.database import transaction
from app.evaluations.documents import CaseLimits
from app.evaluations.models import Evaluation
from app.evaluations.service import start_evaluation
from app.gates.limits import MOST_LIMITS
from app.jobs.events import EventKind
from app.jobs.models import JobEvent
from app.runs.models import Run
from app.runs.result import RunResult
from app.runs.service import require_run, run_job
from tests.cli.conftest import LiveServer, live
from tests.support.judged import BAD, GOOD, finished_run, judged
from tests.support.people import make_person
from tests.support.training import ENGINEER, run_result

__all__ = ["live"]
pytestmark = pytest.mark.usefixtures("silent_bell")
KEPT = ["--min", "sales-en.checks=0.3", "--max", "held_out_loss=2.5", "--min", "mask_check.passed=1"]


@pytest.fixture
def api(app: FastAPI) -> TestClient:
    return make_person(app, Role.ANNOTATOR).api


@pytest.fixture
def evaluation(app: FastAPI) -> Evaluation:
    """Of run 1: base badly, tuned well, held-out loss 3 → 2. The run itself measured 3.02 → 2.02."""
    found = judged(app)
    with transaction(app.state.engine) as session:
        run = require_run(session, found.run_id)
        run.result = RunResult.stored(run_result(eval_loss=2.02))
        session.add(run)
        measured(session, run, 3.02, 2.02)
    return found


def measured(session: Session, run: Run, *losses: float) -> None:
    """As a run told its held-out losses, from step 0 on."""
    for step, loss in enumerate(losses):
        job = run_job(session, run)
        job.event_count += 1
        payload = {"step": step, "eval_loss": loss}
        session.add(JobEvent(job_id=job.id or 0, seq=job.event_count, kind=EventKind.EVAL, payload=payload))
        session.add(job)
        session.flush()


def _asked(api: TestClient, run: int = 1, **params: Any) -> Any:
    return api.get(f"/api/v1/runs/{run}/gate", params=params)


def test_every_number_of_a_run_can_be_limited_and_is_listed(api: TestClient, evaluation: Evaluation) -> None:
    metrics = {one["name"]: one for one in api.get("/api/v1/runs/1/metrics").json()}
    assert {
        "held_out_loss",
        "perplexity",
        "train_loss",
        "peak_memory_bytes",
        "findings",
        "train_conversations",
        "mask_check.passed",
        "mask_check.refused",
        "mask_check.trained",
        "sales-en.checks",
        "sales-en.score",
        "sales-en.safety",
        "sales-en.wins",
        "sales-en.effect",
        "sales-en.check.no-banned-promises",
    } <= metrics.keys()
    # Before and after training by the run itself, and both models by the evaluation: each under a name of its own.
    assert (metrics["held_out_loss"]["value"], metrics["held_out_loss"]["base"]) == (2.02, 3.02)
    evaluated = metrics["evaluated_held_out_loss"]
    assert (evaluated["value"], evaluated["base"]) == (2.0, 3.0)
    assert metrics["sales-en.checks"]["value"] > metrics["sales-en.checks"]["base"]
    assert metrics["sales-en.check.no-banned-promises"]["value"] == 1
    assert metrics["sales-en.checks"]["span"] == [0, 1]
    assert metrics["held_out_loss"]["span"] is None
    assert all(one["span"][0] <= one["value"] <= one["span"][1] for one in metrics.values() if one["span"])
    exact = [f"{name}={one['value']!r}" for name, one in metrics.items()]
    assert _asked(api, min=exact, max=exact).json()["passed"]
    just_above = f"held_out_loss={metrics['held_out_loss']['value'] + 1e-6}"
    assert not _asked(api, min=just_above).json()["passed"]


def test_general_ability_has_its_retention_and_a_name_that_one_suite_has_needs_no_suite(
    app: FastAPI, api: TestClient, evaluation: Evaluation
) -> None:
    judged(app, "general-en", run_id=1, good=BAD)
    assert "general-en.losses" in {one["name"] for one in api.get("/api/v1/runs/1/metrics").json()}
    several = _asked(api, min="checks=0.1")
    assert (several.status_code, several.json()["field"]) == (422, "min")
    assert "Name one of: general-en.checks, sales-en.checks" in several.json()["detail"]
    (one,) = _asked(api, min="check.valid-json=0").json()["criteria"]
    assert one["metric"] == "sales-en.check.valid-json"


WRONG: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"min": "held_out_los=1"}, "min", "Is it held_out_loss?"),
    ({"max": "sales-zh.checks=1"}, "max", "There are: held_out_loss, perplexity"),
    ({"min": "held_out_loss"}, "min", "wants metric=value"),
    ({"min": "held_out_loss=nan"}, "min", "wants metric=value"),
    ({"max": "held_out_loss=1e999"}, "max", "wants metric=value"),
    ({"min": ["steps=1", "steps=2"]}, "min", "twice"),
    ({"against": "best"}, "against", "“base” or the id of a run"),
    ({"against": "1"}, "against", "never worse than itself"),
    ({"tolerance": "held_out_loss=1"}, "tolerance", "Name that with against"),
    ({"against": "base", "tolerance": "checks=-1"}, "tolerance", "at least 0"),
    ({"against": "base", "tolerance": "nothing=1"}, "tolerance", "has no metric “nothing”"),
    # Met by every run, or by none: percent where a share is meant.
    ({"min": "sales-en.checks=80"}, "min", "between 0 and 1, which 80 does not. Is 0.8 meant?"),
    ({"max": "sales-en.check.no-banned-promises=5"}, "max", "Is 0.05 meant?"),
    ({"max": "sales-en.safety=1000"}, "max", "between 0 and 1, which 1,000 does not."),
    ({"min": "sales-en.effect=-3"}, "min", "between -1 and 1"),
    ({"min": "mask_check.passed=2"}, "min", "between 0 and 1"),
    ({"against": "base", "tolerance": "checks=5"}, "tolerance", "Is 0.05 meant?"),
    ({}, "min", "Nothing is asked"),
    ({"min": ["steps=1"] * (MOST_LIMITS + 1)}, "min", "entries"),
)


def test_what_is_misspelt_or_not_there_is_refused_and_never_passed(
    api: TestClient, evaluation: Evaluation
) -> None:
    for asked, field, said in WRONG:
        refused = _asked(api, **asked)
        assert refused.status_code == 422, refused.text
        problem = refused.json()
        assert said in problem["detail"], asked
        assert field == problem.get("field", problem["detail"].split()[0]), asked


def test_the_base_model_and_another_run_are_compared_on_the_same_cases_only(
    app: FastAPI, api: TestClient, evaluation: Evaluation
) -> None:
    better = _asked(api, against="base").json()
    assert better["passed"]
    assert [one["metric"] for one in better["criteria"]] == ["held_out_loss", "sales-en.checks"]
    # What is only measured of the tuned model is nothing to compare with.
    alone = _asked(api, against="base", tolerance="train_loss=1")
    assert (alone.status_code, "train_loss was not measured of the base model" in alone.text) == (409, True)
    with transaction(app.state.engine) as session:
        other = finished_run(session, app.state.storage, like=1).id or 0
    assert "has not. Evaluate" in _asked(api, other, against="1").json()["detail"]
    judged(app, run_id=other, good=BAD)
    worse = _asked(api, other, against="1").json()
    failed = {one["metric"]: one["passed"] for one in worse["criteria"]}
    # The other run measured none itself: evaluation is held against evaluation, 2 and 2, and not 2 against 2.02.
    assert failed == {"evaluated_held_out_loss": True, "sales-en.checks": False}
    assert "worse than the" in worse["criteria"][1]["detail"]
    assert _asked(api, other, against="1", tolerance="sales-en.checks=1").json()["passed"]
    judged(app, run_id=other, good=GOOD, limits=CaseLimits(max_cases=4))
    part = _asked(api, other, against="1")
    assert (part.status_code, "other cases" in part.json()["detail"]) == (409, True)
    assert _asked(api, other, against="99").status_code == 404


def test_what_a_run_measured_itself_is_never_held_against_what_an_evaluation_measured(
    app: FastAPI, api: TestClient, evaluation: Evaluation
) -> None:
    with transaction(app.state.engine) as session:
        other = finished_run(session, app.state.storage, like=1)
        other.result = RunResult.stored(run_result(eval_loss=2.01))
        session.add(other)
        other_id = other.id or 0

    def compared(run: int, against: str) -> dict[str, tuple[float, float]]:
        told = _asked(api, run, against=against, tolerance=["sales-en.checks=1"]).json()
        losses = [one for one in told["criteria"] if "loss" in one["metric"]]
        return {one["metric"]: (one["value"], one["reference"]) for one in losses}

    judged(app, run_id=other_id, good=BAD)
    assert compared(other_id, "1") == {"held_out_loss": (2.01, 2.02)}
    assert compared(1, "base") == {"held_out_loss": (2.02, 3.02)}
    # It told of no loss before training: of the base model only the evaluation knows.
    assert compared(other_id, "base") == {"evaluated_held_out_loss": (2.0, 3.0)}


def test_other_held_out_conversations_are_left_out_and_said(
    app: FastAPI, api: TestClient, evaluation: Evaluation
) -> None:
    with transaction(app.state.engine) as session:
        other = finished_run(session, app.state.storage, like=1)
        other.arrays_hash = "b" * 64
        session.add(other)
        other_id = other.id or 0
    judged(app, run_id=other_id)
    found = _asked(api, other_id, against="1").json()
    assert found["passed"]
    assert [one["metric"] for one in found["criteria"]] == ["sales-en.checks"]
    assert "other conversations" in found["left_out"][0]["detail"]
    named = _asked(api, other_id, against="1", tolerance="evaluated_held_out_loss=1")
    assert (named.status_code, "other conversations" in named.json()["detail"]) == (409, True)


def test_what_is_still_going_on_is_waited_for_and_what_failed_is_not_judged(
    app: FastAPI, api: TestClient, evaluation: Evaluation
) -> None:
    with transaction(app.state.engine) as session:
        run = require_run(session, 1)
        start_evaluation(session, app.state.storage, ENGINEER, run, "sales-en")
    under_way = _asked(api, min="sales-en.checks=0")
    assert (under_way.status_code, "sales-en is still under way" in under_way.json()["detail"]) == (409, True)
    assert _asked(api, max="held_out_loss=9").json()["passed"]
    assert _asked(api, against="base").status_code == 409


def test_the_command_has_its_exit_codes_and_writes_what_ci_shows(
    app: FastAPI, live: LiveServer, evaluation: Evaluation, tmp_path: Path
) -> None:
    xml, summary = tmp_path / "gate.xml", tmp_path / "gate.md"
    files = ("--junit", str(xml), "--markdown", str(summary))
    passed = live.run("gate", "--run", "1", *KEPT, "--against", "base", *files)
    assert (passed.code, "passed the gate" in passed.stderr) == (0, True), passed.stderr
    assert _counts(xml) == {"tests": "5", "failures": "0", "errors": "0", "skipped": "0"}
    assert summary.read_text().startswith("## ✅ Gate passed")

    failed = live.run("gate", "--run", "1", "--max", "held_out_loss=1.5", "--json", *files)
    assert (failed.code, failed.json["passed"]) == (1, False)
    assert "held_out_loss is 2.02 and must be at most 1.5" in failed.error
    assert _counts(xml) == {"tests": "1", "failures": "1", "errors": "0", "skipped": "0"}
    assert "| ❌ | `held_out_loss` | 2.02 | ≤ 1.5 |" in summary.read_text()

    for arguments in (("--min", "no_such=1"), ("--against", "77"), ()):
        refused = live.run("gate", "--run", "1", *arguments, *files)
        assert (refused.code, refused.stdout) == (2, "")
        assert refused.error
        assert _counts(xml) == {"tests": "1", "failures": "0", "errors": "1", "skipped": "0"}
        assert "not judged" in summary.read_text()
    nobody = live.run("gate", "--run", "1", *KEPT, "--url", "http://127.0.0.1:9", *files)
    assert (nobody.code, "No server answers" in nobody.error) == (2, True)
    chinese = live.run("gate", "--run", "1", "--max", "held_out_loss=1.5", *files, LANG="zh_CN.UTF-8")
    assert (chinese.code, "门禁未通过" in summary.read_text()) == (1, True)


def test_a_report_that_cannot_be_written_hides_neither_the_judgement_nor_the_other_report(
    app: FastAPI, live: LiveServer, evaluation: Evaluation, tmp_path: Path
) -> None:
    summary = tmp_path / "gate.md"
    files = ("--junit", str(tmp_path), "--markdown", str(summary))
    for limit, code, said in (("9", 2, "cannot be written"), ("1.5", 1, "must be at most 1.5")):
        told = live.run("gate", "--run", "1", "--max", f"held_out_loss={limit}", "--json", *files)
        assert (told.code, told.json["passed"]) == (code, code == 2)
        assert said in told.error
        assert "cannot be written" in told.error
        assert summary.read_text()
        summary.unlink()
    unknown = live.run("gate", "--run", "1", "--max", "no_such=1", *files)
    assert (unknown.code, "no metric" in unknown.error, "cannot be written" in unknown.error) == (
        2,
        True,
        True,
    )


def _counts(path: Path) -> dict[str, str]:
    root = ET.parse(path).getroot()
    assert root.tag == "testsuites"
    (suite,) = root
    assert {name: suite.attrib[name] for name in ("tests", "failures")} == {
        name: root.attrib[name] for name in ("tests", "failures")
    }
    cases = suite.findall("testcase")
    assert all(case.get("classname") and case.get("name") for case in cases)
    tags = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    assert len(cases) == int(suite.attrib["tests"])
    for name, tag in tags.items():
        assert len(suite.findall(f"testcase/{tag}")) == int(suite.attrib[name])
    return {name: suite.attrib[name] for name in ("tests", *tags)}


def test_the_page_asks_answers_and_gives_the_same_files(app: FastAPI, evaluation: Evaluation) -> None:
    browser = make_person(app, Role.ANNOTATOR).browser
    with transaction(app.state.engine) as session:
        run = require_run(session, 1)
        run.name = "Mei's | <b>\x0b run"
        session.add(run)
    empty = browser.get("/runs/1/gate")
    assert "mask_check.passed" in empty.text
    assert "gate-result" not in empty.text
    query = "min=sales-en.checks%3D0.3%0Amask_check.passed%3D1&max=held_out_loss%3D1&against=&tolerance="
    page = browser.get(f"/runs/1/gate?{query}").text
    assert "Not passed" in page
    assert (
        "sft-studio gate --run 1 --min sales-en.checks=0.3 --min mask_check.passed=1 --max held_out_loss=1"
        in page
    )
    assert f"/api/v1/runs/1/gate/junit?{query.replace('&', '&amp;')}" in page
    # A rounded limit would be kept where this one is not, and would look as if it were kept.
    close = browser.get("/runs/1/gate?max=held_out_loss%3D1.9999912%0Aseconds%3D12345678").text
    assert "--max held_out_loss=1.9999912 --max seconds=12345678 --junit" in close
    assert "≤ 1.99999<" in close
    wrong = browser.get("/runs/1/gate?min=held_out_los%3D1").text
    assert "Is it held_out_loss?" in wrong
    written = browser.get(f"/api/v1/runs/1/gate/junit?{query}")
    assert ET.fromstring(written.text).attrib["failures"] == "1"
    assert written.headers["content-type"].startswith("application/xml")
    told = browser.get(f"/api/v1/runs/1/gate/markdown?{query}").text
    assert "Mei's \\| \\<b\\> run](http" in told
    assert 'href="/runs/1/gate"' in browser.get("/runs/1").text
