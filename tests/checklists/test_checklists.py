"""The checklist says of each item how it stands, by what evidence, and where that is seen."""

from typing import Any

import pytest
from fastapi import FastAPI

from app.accounts.models import Role
from app.checklists.items import OF_SOME, TITLES
from app.core.database import transaction
from app.core.storage import Storage
from app.evaluations.documents import CaseLimits
from app.exports.handler import scores_of
from app.exports.work import Scores
from app.jobs import service as jobs
from app.jobs.models import JobState
from app.runs.models import Run
from app.runs.result import RunResult, TrainingPlan
from app.runs.service import require_run
from app.versions.service import require_version
from tests.cli.conftest import LiveServer, live
from tests.support.judged import BAD, judged
from tests.support.pages import Offers
from tests.support.people import make_person
from tests.support.training import make_run, metric, run_result

__all__ = ["live"]
pytestmark = pytest.mark.usefixtures("silent_bell")
ANSWER = {
    "prompt": 0,
    "asked": "How much?",
    "expected": None,
    "conversation_id": None,
    "tokens": 4,
    "finish_reason": "stop",
    "copied": None,
    "copied_from": None,
}


def _trained(
    app: FastAPI, *, losses: tuple[float, ...] = (4.0, 3.0, 2.5), rise: float = -0.05, **changes: Any
) -> int:
    """A run that learnt, or that went as `losses` say on what was held out, and by `rise` a step on what was trained."""
    plan = TrainingPlan(steps=60, wanted_steps=60, precision="float32")
    with transaction(app.state.engine) as session:
        run, job = make_run(session, app.state.storage, **changes)
        claim = jobs.claim(session, job.id or 0, owner="test", lease_seconds=30)
        assert claim is not None
        told: list[jobs.EventData] = [metric(step, 4 + rise * step) for step in range(1, 61)]
        told += [("eval", {"step": 20 * number, "eval_loss": loss}) for number, loss in enumerate(losses)]
        told += [("sample", {**ANSWER, "step": step, "text": f"It depends {step}."}) for step in (20, 40)]
        jobs.finish(session, claim, JobState.SUCCEEDED, result={}, events=told)
        run.adapter_key = "jobs/9/1/adapter"
        run.result = RunResult.stored(run_result(plan=plan))
        session.add(run)
        session.flush()
        return run.id or 0


def _states(app: FastAPI, run_id: int) -> dict[str, str]:
    items = make_person(app, Role.ANNOTATOR).api.get(f"/api/v1/runs/{run_id}/checklist").json()
    assert [item["code"] for item in items] == [code for code in TITLES if code not in OF_SOME]
    assert all(item["evidence"] and "%(" not in item["evidence"] for item in items)
    return {item["code"]: item["state"] for item in items}


def test_an_item_passes_only_by_what_was_measured(app: FastAPI) -> None:
    run_id = _trained(app)
    before = _states(app, run_id)
    # Nothing was judged, so nothing is claimed.
    judged_items = ("instructions", "answer_format", "domain", "general", "mix")
    assert {before[code] for code in judged_items} == {"open"}
    assert {
        before[code] for code in ("template", "train_loss", "eval_loss", "vibe_check", "bf16", "clipping")
    } == {"pass"}
    # Twelve conversations, one of them cut.
    assert {before[code] for code in ("amount", "format", "quality", "epochs")} == {"warn"}
    judged(app, run_id=run_id)
    judged(app, "general-en", run_id=run_id, good=BAD)
    after = _states(app, run_id)
    assert {after[code] for code in ("instructions", "answer_format", "domain")} == {"pass"}
    with transaction(app.state.engine) as session:
        run = require_run(session, run_id)
        run.config = run.config.model_copy(
            update={"bf16": False, "learning_rate": 1e-2, "max_grad_norm": 100}
        )
        version = require_version(session, run.dataset_version_id)
        version.train_count, version.validation_count = 2_000, 0
        run.override_reason = "because"
        session.add_all([run, version])
    worse = _states(app, run_id)
    assert {worse[code] for code in ("bf16", "learning_rate", "clipping")} == {"warn"}
    assert worse["template"] == "fail"
    assert (worse["amount"], worse["eval_loss"]) == ("pass", "fail")


def test_a_training_loss_that_did_not_fall_does_not_pass_for_want_of_a_finding(app: FastAPI) -> None:
    run_id = _trained(app, rise=0.002)
    api = make_person(app, Role.ANNOTATOR).api
    assert api.get(f"/api/v1/runs/{run_id}/diagnosis").json() == []
    items = {item["code"]: item for item in api.get(f"/api/v1/runs/{run_id}/checklist").json()}
    assert items["train_loss"]["state"] == "warn"
    assert "4.002 to 4.120 over 60 points: it has not fallen" in items["train_loss"]["evidence"]


def test_where_the_steps_decide_the_epochs_are_those_that_were_reached(app: FastAPI) -> None:
    run_id = _trained(app)
    with transaction(app.state.engine) as session:
        run = require_run(session, run_id)
        run.config = run.config.model_copy(update={"max_steps": 60})
        run.result = RunResult.stored(run_result(peak_memory_bytes=5 << 29))
        session.add(run)
    person = make_person(app, Role.ANNOTATOR)
    items = {item["code"]: item for item in person.api.get(f"/api/v1/runs/{run_id}/checklist").json()}
    assert items["epochs"]["state"] == "pass"
    assert items["epochs"]["evidence"].startswith("0.1 epochs;")
    # As the page itself counts them.
    assert items["device_memory"]["evidence"] == "2.50 GB at the peak."
    assert "2.5 GB" in person.browser.get(f"/runs/{run_id}").text


def test_a_curve_that_turned_fails_its_item_with_the_findings_own_words(app: FastAPI) -> None:
    run_id = _trained(app, losses=(4.0, 3.0, 3.4, 3.5))
    api = make_person(app, Role.ANNOTATOR).api
    items = {item["code"]: item for item in api.get(f"/api/v1/runs/{run_id}/checklist").json()}
    (finding,) = api.get(f"/api/v1/runs/{run_id}/diagnosis").json()
    assert items["eval_loss"]["state"] == "fail"
    assert items["eval_loss"]["evidence"] == finding["message"]
    assert items["eval_loss"]["link"] == f"/runs/{run_id}#finding-{finding['code']}"


def test_page_command_and_model_card_tell_the_same(app: FastAPI, live: LiveServer) -> None:
    run_id = _trained(app)
    judged(app, run_id=run_id)
    browser = make_person(app, Role.ENGINEER).browser
    page = browser.get(f"/runs/{run_id}").text
    lines = live.run("checklist", "--run", str(run_id), "--json").json
    offers = Offers()
    offers.feed(page)
    for line in lines:
        assert line["title"] in page.replace("&#39;", "'")
        where, _hash, anchor = line["link"].partition("#")
        assert browser.get(where).status_code == 200, line
        # What is told of the run itself stands on its page.
        assert ("GET", line["link"]) in offers.found
        assert where != f"/runs/{run_id}" or f'id="{anchor}"' in page, line
        # A link to what is folded unfolds it; one to its heading does not.
        assert f'<summary id="{anchor}"' not in page, line
    assert "检查清单" in browser.get(f"/runs/{run_id}/checklist", headers={"Accept-Language": "zh-CN"}).text
    assert "Answers read on the way" in live.run("checklist", "--run", str(run_id)).stdout
    with transaction(app.state.engine) as session:
        scores = scores_of(session, session.get_one(Run, run_id))
    assert [one.code for one in scores.checklist] == [line["code"] for line in lines]
    assert _card(scores).count("\n- ") > len(lines)


def _card(scores: Scores) -> str:
    from app.exports.card import adapter_style, model_card
    from app.recipes.config import TrainingConfig
    from app.runs.provenance import Provenance
    from tests.worker.conftest import PROVENANCE

    provenance, result = Provenance.stored(PROVENANCE), RunResult.stored(run_result())
    card = model_card(provenance, TrainingConfig(), result, adapter_style(provenance), scores)
    assert "## Checklist\n\n**Data**" in card
    return card


def test_what_a_run_under_way_has_not_yet_is_not_held_against_it(app: FastAPI, storage: Storage) -> None:
    with transaction(app.state.engine) as session:
        run, job = make_run(session, storage, changes={"sample_count": 2})
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        run_id = run.id
    reader = make_person(app, Role.ANNOTATOR)

    def evidence() -> dict[str, str]:
        items = reader.api.get(f"/api/v1/runs/{run_id}/checklist").json()
        return {item["code"]: item["evidence"] for item in items}

    under_way = evidence()
    for code in ("eval_loss", "vibe_check", "device_memory"):
        assert "so far" in under_way[code], under_way[code]
    with transaction(app.state.engine) as session:
        jobs.finish(session, claim, state=JobState.SUCCEEDED, result={})
    over = evidence()
    assert "choose some sample prompts" in over["vibe_check"]
    assert "measure it more often" in over["eval_loss"]


def test_a_suite_on_which_the_base_model_passes_nothing_is_not_called_unmeasured(app: FastAPI) -> None:
    run_id = _trained(app)
    evaluation = judged(app, "general-en", run_id=run_id, good=BAD, limits=CaseLimits(max_cases=1))
    assert evaluation.summary is not None
    assert evaluation.summary.retention is not None
    assert evaluation.summary.retention.value is None
    items = make_person(app, Role.ANNOTATOR).api.get(f"/api/v1/runs/{run_id}/checklist").json()
    (item,) = (one for one in items if one["code"] == "general")
    assert item["evidence"].startswith("Judged, but the base model passes no check there")
    assert (item["state"], item["link"]) == ("open", f"/evaluations/{evaluation.id}")
