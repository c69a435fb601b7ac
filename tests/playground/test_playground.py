"""The playground: who may ask what, and how pieces of text become events."""

from typing import Any

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from tests.support.people import Person, problem_of, visible_text
from tests.support.training import make_run
from worker.parent.chat_desk import merge_deltas

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def run_id(app: FastAPI) -> int:
    """A run with an adapter."""
    with transaction(app.state.engine) as session:
        run, _job = make_run(session, app.state.storage)
        run.adapter_key = "jobs/9/1/adapter"
        session.add(run)
        assert run.id is not None
        return run.id


def test_a_question_becomes_a_queued_chat_job(annotator: Person, run_id: int) -> None:
    answer = annotator.api.post("/api/v1/playground/answers", json={"run_id": run_id, "messages": HELLO})
    assert answer.status_code == 202
    assert (answer.json()["kind"], answer.json()["state"]) == ("chat", "queued")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"messages": [{"role": "user", "content": "  "}]}, "Write a message first"),
        ({"messages": [*HELLO, {"role": "assistant", "content": "Hi"}]}, "Write a message first"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "unknown role"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"sides": []}, "Ask base"),
    ],
)
def test_bad_questions_are_refused_with_the_reason(
    annotator: Person, run_id: int, change: dict[str, Any], says: str
) -> None:
    body = {"run_id": run_id, "messages": HELLO, **change}
    refused = annotator.api.post("/api/v1/playground/answers", json=body)
    assert refused.status_code == 422
    assert says in problem_of(refused)


def test_a_run_that_is_not_finished_cannot_be_asked(app: FastAPI, annotator: Person) -> None:
    with transaction(app.state.engine) as session:
        run, _job = make_run(session, app.state.storage)
    refused = annotator.api.post("/api/v1/playground/answers", json={"run_id": run.id, "messages": HELLO})
    assert refused.status_code == 409


def test_ones_own_answer_may_be_stopped_and_anothers_only_by_an_engineer(
    annotator: Person, reviewer: Person, engineer: Person, run_id: int
) -> None:
    body = {"run_id": run_id, "messages": HELLO}
    job = annotator.api.post("/api/v1/playground/answers", json=body).json()["id"]
    assert reviewer.api.post(f"/api/v1/jobs/{job}/stop").status_code == 403
    assert annotator.api.post(f"/api/v1/jobs/{job}/stop").json()["state"] == "cancelled"
    other = annotator.api.post("/api/v1/playground/answers", json=body).json()["id"]
    assert engineer.api.post(f"/api/v1/jobs/{other}/stop").json()["state"] == "cancelled"


def test_the_page_offers_finished_runs_and_an_empty_state_without_any(annotator: Person) -> None:
    assert "No tuned model yet" in visible_text(annotator.browser.get("/playground").text)


def test_the_page_has_both_columns(annotator: Person, run_id: int) -> None:
    page = annotator.browser.get(f"/playground?run={run_id}").text
    assert 'data-log="base"' in page
    assert 'data-log="tuned"' in page


def test_text_pieces_of_a_side_become_one_event_and_keep_their_order() -> None:
    events = [
        ("delta", {"side": "base", "text": "a"}),
        ("delta", {"side": "tuned", "text": "x"}),
        ("delta", {"side": "base", "text": "b"}),
        ("done", {"side": "base", "finish_reason": "stop"}),
        ("delta", {"side": "tuned", "text": "y"}),
    ]
    assert merge_deltas(events) == [
        ("delta", {"side": "base", "text": "ab"}),
        ("delta", {"side": "tuned", "text": "xy"}),
        ("done", {"side": "base", "finish_reason": "stop"}),
    ]
