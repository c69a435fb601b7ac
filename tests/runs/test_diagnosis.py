"""A run's findings on its page and by REST: its marks, its cards, and a new run with exactly the changed fields."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from fastapi import FastAPI
from sqlmodel import Session

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.models import JobState
from app.runs.mixing import switch_of
from app.runs.service import require_run
from app.sentences import Failure, FailureCode
from tests.runs.test_mixing import checks, start
from tests.support.people import Person, visible_text
from tests.support.training import make_run, metric, progress

__all__ = ["checks"]
pytestmark = pytest.mark.usefixtures("silent_bell")


def evaluation(step: int, loss: float) -> jobs.EventData:
    return ("eval", {"step": step, "eval_loss": loss})


OVERFITTING: list[jobs.EventData] = [
    evaluation(0, 4.0),
    *(metric(step, 4 - step / 20) for step in range(1, 21)),
    evaluation(20, 3.0),
    *(metric(step, 4 - step / 20) for step in range(21, 61)),
    evaluation(40, 3.2),
    evaluation(60, 3.5),
    progress(60, 60),
]


def under_way(session: Session, storage: Storage, events: list[jobs.EventData]) -> jobs.Claim:
    run, job = make_run(session, storage, recipe="quick", changes={"learning_rate": "0.001"})
    claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=300)
    assert claim is not None
    jobs.heartbeat(session, claim, lease_seconds=300, events=events)
    assert run.id == 1
    return claim


def test_a_finding_is_marked_shown_and_leads_to_a_new_run_with_only_its_fields_changed(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        under_way(session, storage, OVERFITTING)
    (finding,) = engineer.browser.get("/api/v1/runs/1/diagnosis").json()
    assert (finding["code"], finding["step"], finding["curve"]) == ("overfitting", 20, "eval_loss")
    assert finding["evidence"][0] == {"label": "Held-out loss", "step": 20, "value": 3.0}

    page = engineer.browser.get("/runs/1").text
    marks = re.search(r'<script type="application/json" id="run-marks">(.*?)</script>', page)
    assert marks is not None
    assert json.loads(marks[1]) == [{"step": 20, "curve": "eval_loss", "title": "Overfitting"}]
    assert "Held-out loss, step 20 3.000" in visible_text(page)
    # above all else, and kept true when the findings are asked for alone
    found = '<a href="#finding-overfitting">Overfitting</a>'
    assert found in page[page.index('id="run-found"') : page.index("data-run-live")]
    alone = engineer.browser.get("/runs/1/diagnosis").text
    assert found in alone[alone.index('id="run-found" hx-swap-oob="true"') :]

    # the form has the run's own change and recipe, and of the finding's fields the new values
    asked = dict(parse_qsl(urlsplit(finding["new_run"]).query))
    assert asked.pop("like") == "1"
    assert {name: float(value) for name, value in asked.items()} == finding["changes"]
    form = engineer.browser.get(finding["new_run"]).text
    typed = dict(re.findall(r'name="(\w+)" value="([^"]*)" placeholder', form))
    changed = {name: value for name, value in typed.items() if value}
    assert changed == {"learning_rate": "0.001", **asked}


def test_a_run_whose_loss_was_no_number_is_told_at_its_step_in_chinese_too(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        claim = under_way(session, storage, [metric(1), metric(2, float("nan"))])
        failure = Failure.of(FailureCode.NOT_A_NUMBER, "At step %(step)d.", step=2)
        jobs.finish(session, claim, JobState.FAILED, failure=failure)
    engineer.browser.cookies.set("locale", "zh-CN")
    text = visible_text(engineer.browser.get("/runs/1/diagnosis").text)
    assert "第 2 步时损失变成了 NaN" in text
    assert "learning_rate 0.001 → 1e-4" in text


def test_a_run_without_a_fault_has_no_finding_and_no_card(
    app: FastAPI, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        under_way(session, storage, [metric(step, 4 - step / 20) for step in range(1, 30)])
    assert engineer.browser.get("/api/v1/runs/1/diagnosis").json() == []
    assert "finding__title" not in engineer.browser.get("/runs/1").text


def sample(step: int, text: str, **more: Any) -> jobs.EventData:
    about = {"asked": "How much is it?", "expected": "It depends.", "conversation_id": 3}
    told = {"tokens": 20, "finish_reason": "stop", "copied": None, "copied_from": None}
    return ("sample", {"step": step, "prompt": 0, "text": text, **about, **told, **more})


def test_sample_answers_are_a_table_by_step_and_an_erased_conversation_is_in_none(
    app: FastAPI, engineer: Person, reviewer: Person, storage: Storage
) -> None:
    answers = [
        sample(0, "Hm."),
        sample(10, "It is a plan.", copied=0.9, copied_from=5),
        sample(10, "It is another plan.", copied=0.9, copied_from=5),
    ]
    with transaction(app.state.engine) as session:
        claim = under_way(session, storage, [metric(10), *answers])
        jobs.finish(session, claim, JobState.CANCELLED)
    told = engineer.browser.get("/api/v1/runs/1/samples").json()
    assert [(one["step"], one["text"]) for one in told] == [(0, "Hm."), (10, "It is another plan.")]
    text = visible_text(engineer.browser.get("/runs/1/samples").text)
    assert text.startswith(
        "Sample answers Step How much is it? Held out 10 It is another plan. 90.0 % as in a"
    )
    assert text.endswith("0 Base model Hm. Held-out answer It depends.")
    # the one that was copied from conversation 5 goes with it
    assert reviewer.browser.post("/api/v1/conversations/5/erase").status_code == 200
    assert [one["step"] for one in engineer.browser.get("/api/v1/runs/1/samples").json()] == [0]


def test_where_a_curriculum_changes_the_data_is_no_fault_of_the_run(
    app: FastAPI, engineer: Person, checks: tuple[int, int]
) -> None:
    run_id = start(engineer, checks, mix_order="curriculum")["id"]
    general = [metric(step, 2 - step / 50) for step in range(1, 30)]
    told = [*general, *(metric(step, 6 - step / 40) for step in range(30, 101)), progress(100, 100)]
    with transaction(app.state.engine) as session:
        run = require_run(session, run_id)
        claim = jobs.claim(session, run.job_id, owner="test", lease_seconds=30)
        assert claim is not None
        jobs.heartbeat(session, claim, lease_seconds=30, events=told)
        assert switch_of(session, run, 100) == pytest.approx(29, abs=5)
    assert engineer.api.get(f"/api/v1/runs/{run_id}/diagnosis").json() == []
    with transaction(app.state.engine) as session:
        run = require_run(session, run_id)
        run.config = run.config.model_copy(update={"mix_order": "mixed"})
        session.add(run)
    (found,) = engineer.api.get(f"/api/v1/runs/{run_id}/diagnosis").json()
    assert found["code"] == "explosion"
