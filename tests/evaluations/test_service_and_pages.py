"""An evaluation from start to report: judged answers, summary, pages, REST."""

import re
from typing import Any, Final

import pytest
from fastapi import FastAPI
from sqlmodel import Session

from app.core import migrations
from app.core.database import transaction
from app.core.errors import Conflict
from app.evaluations import service
from app.evaluations.documents import CaseLimits, Sides
from app.evaluations.handler import require_finite
from app.evaluations.report import SHOWN, case_views, chosen, counts
from app.evaluations.work import EvaluatePayload, EvaluateResult
from app.scoring.suites import built_in_suites
from app.sentences import FailureCode
from tests.support.judged import BAD, finished_run, judged
from tests.support.people import Person, problem_of, visible_text
from tests.support.training import make_run

# The revision before answers told their end.
BEFORE: Final = "0007"


def test_answers_are_judged_and_summed_up_for_both_models(app: FastAPI, engineer: Person) -> None:
    evaluation = judged(app)
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
    summary = judged(app, "general-en").summary
    assert summary is not None
    assert summary.retention is not None
    assert summary.retention.value is not None
    assert summary.retention.detail.endswith("% of the general ability is kept")


def test_the_report_shows_both_answers_escaped_with_evidence_and_checks(
    app: FastAPI, engineer: Person
) -> None:
    evaluation = judged(app)
    page = engineer.browser.get(f"/evaluations/{evaluation.id}")
    assert page.status_code == 200
    text = visible_text(page.text)
    assert "Base model" in text
    assert "Tuned model" in text
    assert "<b>profit</b>" not in page.text
    assert 'class="evidence evidence--fail"' in page.text
    assert 'class="diff--added"' in page.text
    assert "cut at 160 tokens" in text
    assert "at most 160 new tokens an answer, on CPU in float32" in text


def test_the_report_begins_with_the_verdict_its_numbers_and_what_to_do(
    app: FastAPI, engineer: Person
) -> None:
    evaluation = judged(app)
    assert evaluation.summary is not None
    suite = evaluation.summary.verdict
    assert suite is not None
    assert (suite.cases, suite.wins + suite.losses + suite.ties, suite.outcome) == (16, 16, "better")
    assert (suite.cut_before, suite.cut_after) == (16, 0)
    page = engineer.browser.get(f"/evaluations/{evaluation.id}").text
    text = visible_text(page)
    gained = suite.checks_after - suite.checks_before
    said = f"Better on Sales conversations, English ({suite.wins}–{suite.losses}, +{gained} checks)"
    assert said in text
    assert "16 cases" in text
    assert "Judge it on a suite of general ability too" in text
    assert text.index("Better") < text.index(said) < text.index("Checks passed")
    # The loss on held-out conversations is the run's, not the suite's.
    assert "3.000" not in text
    places = {place.partition("#")[0] for place in re.findall(r'href="(/[^"]*)"', page)}
    assert {
        f"/runs/{evaluation.run_id}",
        "/mask-checks/1",
        "/base-models/1",
        "/datasets/1/versions",
    } <= places
    chinese = engineer.browser.get(f"/evaluations/{evaluation.id}", headers={"Accept-Language": "zh-CN"})
    assert f"销售对话（英文）：有提升（{suite.wins} 题变好" in visible_text(chinese.text)


def test_a_fluent_answer_that_fails_the_checks_is_nowhere_better(app: FastAPI, engineer: Person) -> None:
    nonsense = (
        "Thank you for asking. The capital is not a city, it is 512 days in a week, and a place for all."
    )
    evaluation = judged(app, "general-en", good=nonsense)
    with Session(app.state.engine) as session:
        answers = service.answers(session, evaluation.id or 0)
    for case in case_views(evaluation, answers):
        assert case.tuned is not None
        if not all(check.passed for check in case.tuned.judged.checks):
            assert case.change != "better"
            assert case.tuned.judged.scores.mean < 1
    capital = next(case for case in case_views(evaluation, answers) if case.key == "capital-japan")
    assert capital.tuned is not None
    assert (capital.change, capital.tuned.judged.scores.mean) == ("same", 0)


def test_cases_are_filtered_and_sorted_by_the_address(app: FastAPI, engineer: Person) -> None:
    evaluation = judged(app)
    with Session(app.state.engine) as session:
        cases = case_views(evaluation, service.answers(session, evaluation.id or 0))
    found = counts(cases)
    assert found["all"] == found["cut"] == len(cases) == found["worse"] + found["better"] + found["same"]
    for show in SHOWN:
        fragment = engineer.browser.get(
            f"/evaluations/{evaluation.id}?show={show}", headers={"HX-Request": "true"}
        )
        assert fragment.text.count("data-case>") == found[show]
    effects = [case.effect for case in chosen(cases, "all", "worst")]
    assert effects == sorted(effects)
    assert [case.effect for case in chosen(cases, "all", "best")] == effects[::-1]
    refused = engineer.browser.get(f"/evaluations/{evaluation.id}?show=odd")
    assert refused.status_code == 422


def test_run_and_lists_show_what_came_out_instead_of_succeeded(app: FastAPI, engineer: Person) -> None:
    sales = judged(app)
    general = judged(app, "general-en", run_id=sales.run_id, good="No idea.")
    assert sales.summary is not None
    assert sales.summary.verdict is not None
    suite = sales.summary.verdict
    run = visible_text(engineer.browser.get(f"/runs/{sales.run_id}").text)
    assert f"{suite.checks_before} → {suite.checks_after} of {suite.checks} checks" in run
    assert "3.000 → 2.000" in run
    assert "1.000 lower, an improvement" in run
    for path in ("/runs", "/runs?version=1", "/evaluations"):
        listed = visible_text(engineer.browser.get(path).text)
        assert f"{suite.checks_before} → {suite.checks_after}" in listed
        assert "sales-en" not in listed
    verdict = engineer.api.get(f"/api/v1/runs/{sales.run_id}/verdict").json()
    assert [one["evaluation_id"] for one in verdict["suites"]] == [sales.id, general.id]
    assert verdict["held_out_loss"] == {"base": 3.0, "tuned": 2.0}
    assert verdict["advice"]
    assert engineer.api.get("/api/v1/runs/99/verdict").status_code == 404
    assert engineer.browser.get("/runs?version=99").status_code == 404


def test_an_evaluation_of_an_earlier_program_is_judged_from_its_answers(
    app: FastAPI, engineer: Person
) -> None:
    evaluation = judged(app)
    general = judged(app, "general-en", run_id=evaluation.run_id)
    address = f"/api/v1/runs/{evaluation.run_id}/verdict"
    told = engineer.api.get(address).json()
    assert evaluation.summary is not None
    with transaction(app.state.engine) as session:
        old = service.require_evaluation(session, evaluation.id or 0)
        old.summary = evaluation.summary.model_copy(update={"verdict": None, "generation": None})
        session.add(old)
    migrations.downgrade(app.state.engine, BEFORE)
    migrations.upgrade(app.state.engine)
    body = engineer.api.get(f"/api/v1/evaluations/{evaluation.id}").json()
    now = body["summary"]["verdict"]
    assert {**now} == evaluation.summary.verdict.model_dump(mode="json")  # type: ignore[union-attr]
    assert [answer["cut"] for answer in body["answers"][:2]] == [True, False]
    text = visible_text(engineer.browser.get(f"/evaluations/{evaluation.id}").text)
    assert "cut at the limit" in text
    assert "Better on Sales conversations, English" in text
    # The run's verdict is over all of its evaluations, whichever program made them.
    assert engineer.api.get(address).json() == told
    assert told["word"] in visible_text(engineer.browser.get("/runs").text)
    other = visible_text(engineer.browser.get(f"/evaluations/{general.id}").text)
    assert "Better on Sales conversations, English" in other
    assert "Judge it on a sales suite too" not in other


@pytest.mark.parametrize("losses", [None, {"base": 3.0, "tuned": None}])
def test_a_held_out_loss_that_is_no_number_fails_the_evaluation(losses: Any) -> None:
    result = {"held_out_loss": losses, "held_out": {"conversations": 2, "trained_tokens": 40}}
    with pytest.raises(Conflict) as refused:
        require_finite(EvaluateResult.stored(result))
    assert refused.value.code == FailureCode.NOT_A_NUMBER
    require_finite(EvaluateResult())


def test_rest_gives_the_same_report(app: FastAPI, engineer: Person) -> None:
    evaluation = judged(app)
    body = engineer.api.get(f"/api/v1/evaluations/{evaluation.id}").json()
    assert body["job"]["state"] == "succeeded"
    first = body["answers"][0]
    assert (first["variant"], first["text"]) == ("base", BAD)
    assert all(set(check) >= {"name", "passed", "detail", "evidence"} for check in first["checks"])


def test_a_part_of_a_suite_is_judged_alone_and_everybody_is_told_of_how_much(
    app: FastAPI, engineer: Person
) -> None:
    evaluation = judged(app, limits=CaseLimits(max_cases=12))
    told = engineer.api.get(f"/api/v1/evaluations/{evaluation.id}").json()
    of = len(built_in_suites()["sales-en"].prompts)
    summary, why = told["summary"], f"12 of {of} cases, chosen evenly, as was asked for."
    assert (summary["part"]["cases"], summary["part"]["of"], summary["part"]["detail"]) == (12, of, why)
    # What an earlier attempt answered beside them counts on neither side.
    assert (summary["verdict"]["cases"], summary["base"]["answers"], summary["tuned"]["answers"]) == (
        12,
        12,
        12,
    )
    assert {answer["prompt_key"] for answer in told["answers"]} == set(summary["part"]["keys"])
    for path in (f"/evaluations/{evaluation.id}", f"/runs/{evaluation.run_id}"):
        assert why in visible_text(engineer.browser.get(path).text), path
    verdict = engineer.api.get(f"/api/v1/runs/{evaluation.run_id}/verdict").json()
    assert verdict["suites"][0]["part"]["detail"] == why


def test_how_much_of_a_suite_is_asked_by_form_and_rest_and_refused_where_it_makes_no_sense(
    app: FastAPI, engineer: Person
) -> None:
    with transaction(app.state.engine) as session:
        run_id = finished_run(session, app.state.storage).id
    started = engineer.browser.post(
        "/evaluations", data={"run_id": run_id, "suite": "sales-en", "max_cases": "4", "max_minutes": ""}
    )
    assert started.status_code == 303
    path = f"/api/v1/runs/{run_id}/evaluations"
    other = engineer.api.post(path, json={"suite": "general-en", "max_minutes": 1.5})
    assert other.status_code == 202
    with transaction(app.state.engine) as session:
        asked = [
            job.asked(EvaluatePayload).limits
            for _one, job in service.list_evaluations(session, run_id=run_id)
        ]
    assert asked == [CaseLimits(max_minutes=1.5), CaseLimits(max_cases=4)]
    for wrong in ({"max_cases": 0}, {"max_minutes": 0}, {"max_minutes": float("1e9")}, {"max_cases": "a"}):
        (name,) = wrong
        refused = engineer.api.post(path, json={"suite": "general-zh", **wrong})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, name)
        form = engineer.browser.post("/evaluations", data={"run_id": run_id, "suite": "general-zh", **wrong})
        assert form.status_code == 422


def test_pressing_start_twice_leads_to_one_evaluation(app: FastAPI, engineer: Person) -> None:
    with transaction(app.state.engine) as session:
        run_id = finished_run(session, app.state.storage).id
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
        run_id = finished_run(session, app.state.storage).id
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
