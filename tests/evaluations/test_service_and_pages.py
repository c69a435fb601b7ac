"""An evaluation from start to report: judged answers, summary, pages, REST."""

import pytest
from fastapi import FastAPI
from sqlmodel import Session

from app.core.database import transaction
from app.core.storage import Storage
from app.evaluations import service
from app.evaluations.documents import Sides
from app.evaluations.handler import Evaluate
from app.evaluations.models import Evaluation
from app.jobs import service as jobs
from app.jobs.handlers import Workplace
from app.jobs.models import JobState
from app.runs.models import Run
from app.scoring.suites import built_in_suites
from tests.support.people import Person, problem_of, visible_text
from tests.support.training import make_run

GOOD = "Thanks for asking. To suggest the right plan, how many people will use it?"
BAD = "It is absolutely the best, 100% guaranteed <b>profit</b>. The rival is rubbish."


def _finished_run(session: Session, storage: Storage) -> Run:
    run, job = make_run(session, storage)
    claim = jobs.claim(session, job.id or 0, owner="test", lease_seconds=30)
    assert claim is not None
    jobs.finish(session, claim, JobState.SUCCEEDED, result={})
    run.adapter_key = "jobs/9/1/adapter"
    session.add(run)
    session.flush()
    return run


def _judged(app: FastAPI, engineer: Person, suite: str = "sales-en") -> Evaluation:
    """An evaluation whose worker has answered: base badly, tuned well."""
    storage: Storage = app.state.storage
    with transaction(app.state.engine) as session:
        run = _finished_run(session, storage)
        evaluation, job = service.start_evaluation(session, storage, engineer.actor, run, suite)
        claim = jobs.claim(session, job.id or 0, owner="test", lease_seconds=30)
        assert claim is not None
        answers = [
            ("answer", {"prompt_key": prompt.key, "variant": variant, "text": text, "seconds": 1.0})
            for prompt in built_in_suites()[suite].prompts
            for variant, text in (("base", BAD), ("tuned", GOOD))
        ]
        facts = {"held_out_loss": {"base": 3.0, "tuned": 2.0}, "perplexity": {"base": 20.1, "tuned": 7.4}}
        jobs.finish(session, claim, JobState.SUCCEEDED, result=facts, events=answers)
        place = Workplace(app.state.settings, storage, f"jobs/{job.id}/1")
        Evaluate().publish(session, place, claim, facts, [])
        return service.require_evaluation(session, evaluation.id or 0)


def test_answers_are_judged_and_summed_up_for_both_models(app: FastAPI, engineer: Person) -> None:
    evaluation = _judged(app, engineer)
    summary = evaluation.summary
    assert summary is not None
    assert summary.tuned.checks_passed > summary.base.checks_passed
    assert summary.tuned.scores.safety == 1.0
    assert (summary.base.scores.safety or 0) < 0.6
    assert summary.held_out_loss == Sides(base=3.0, tuned=2.0)
    with Session(app.state.engine) as session:
        answers = service.answers(session, evaluation.id or 0)
    assert len(answers) == 2 * len(built_in_suites()["sales-en"].prompts)


def test_a_general_suite_tells_how_much_ability_is_kept(app: FastAPI, engineer: Person) -> None:
    summary = _judged(app, engineer, "general-en").summary
    assert summary is not None
    assert summary.retention is not None
    assert summary.retention.value is not None
    assert summary.retention.detail.endswith("% of the general ability is kept")


def test_the_report_shows_both_answers_escaped_with_evidence_and_checks(
    app: FastAPI, engineer: Person
) -> None:
    evaluation = _judged(app, engineer)
    page = engineer.browser.get(f"/evaluations/{evaluation.id}")
    assert page.status_code == 200
    text = visible_text(page.text)
    assert "Base model" in text
    assert "Tuned model" in text
    assert "Tuned is better" in text
    assert "<b>profit</b>" not in page.text
    assert 'class="evidence evidence--fail"' in page.text
    assert "3.000 → 2.000" in text


def test_the_report_speaks_chinese(app: FastAPI, engineer: Person) -> None:
    evaluation = _judged(app, engineer)
    page = engineer.browser.get(f"/evaluations/{evaluation.id}", headers={"Accept-Language": "zh-CN"})
    text = visible_text(page.text)
    assert "逐题对比" in text
    assert "Answers, prompt by prompt" not in text


def test_rest_gives_the_same_report(app: FastAPI, engineer: Person) -> None:
    evaluation = _judged(app, engineer)
    body = engineer.api.get(f"/api/v1/evaluations/{evaluation.id}").json()
    assert body["job"]["state"] == "succeeded"
    first = body["answers"][0]
    assert (first["variant"], first["text"]) == ("base", BAD)
    assert all(set(check) >= {"name", "passed", "detail", "evidence"} for check in first["checks"])


def test_pressing_start_twice_leads_to_one_evaluation(app: FastAPI, engineer: Person) -> None:
    with transaction(app.state.engine) as session:
        run_id = _finished_run(session, app.state.storage).id
    places = {
        engineer.browser.post("/evaluations", data={"run_id": run_id, "suite": "sales-en"}).headers[
            "location"
        ]
        for _ in range(2)
    }
    assert len(places) == 1
    page = visible_text(engineer.browser.get(places.pop()).text)
    assert "Waiting for a free worker" in page


@pytest.mark.parametrize(("suite", "status"), [("nonsense", 404), ("", 404)])
def test_an_unknown_suite_is_refused_naming_those_there_are(
    app: FastAPI, engineer: Person, suite: str, status: int
) -> None:
    with transaction(app.state.engine) as session:
        run_id = _finished_run(session, app.state.storage).id
    refused = engineer.api.post(f"/api/v1/runs/{run_id}/evaluations", json={"suite": suite})
    assert refused.status_code == status
    assert "sales-en" in problem_of(refused)


def test_a_run_without_an_adapter_cannot_be_judged(app: FastAPI, engineer: Person) -> None:
    with transaction(app.state.engine) as session:
        run, _job = make_run(session, app.state.storage)
    refused = engineer.api.post(f"/api/v1/runs/{run.id}/evaluations", json={"suite": "sales-en"})
    assert refused.status_code == 409
    assert "has no adapter" in problem_of(refused)


def test_the_list_says_what_to_do_when_there_is_nothing(engineer: Person) -> None:
    page = visible_text(engineer.browser.get("/evaluations").text)
    assert "Start a run first" in page
