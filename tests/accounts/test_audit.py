"""The audit trail: sign-ins good and bad are in it, and administrators find what they look for."""

import ast

from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.accounts.audit import ACTIONS, PAGE
from app.accounts.models import AuditEvent, Role
from app.conversations.models import ReviewState
from app.core.database import transaction
from app.files import CODE_FOLDER
from app.jobs.models import Priority, StopRequest
from app.jobs.order import Move
from tests.support.people import PASSWORD, Person, visible_text


def visitor(app: FastAPI) -> TestClient:
    return TestClient(app, client=("192.0.2.7", 1), follow_redirects=False)


def test_sign_ins_good_and_bad_are_in_the_trail_without_what_was_typed(
    app: FastAPI, admin: Person, annotator: Person
) -> None:
    name, number = annotator.actor.name, annotator.actor.user_id
    for typed, password in ((name, "wrong guess"), ("my secret words", "x"), (name, PASSWORD)):
        visitor(app).post("/login", data={"name": typed, "password": password})
    answer = admin.api.get("/api/v1/audit", params={"action": "sign_in"})
    told = [
        (one["action"], one["actor"], one["actor_user_id"], one["subject"], one["address"])
        for one in answer.json()["events"]
    ]
    assert told == [
        ("sign_in", name, number, f"user/{number}", "192.0.2.7"),
        ("sign_in.failed", "", None, "user", "192.0.2.7"),
        ("sign_in.failed", name, None, f"user/{number}", "192.0.2.7"),
    ]
    page = admin.browser.get("/audit", params={"person": name, "action": "sign_in.failed"}).text
    assert "Failed to sign in" in visible_text(page)
    assert page.count("192.0.2.7") == 1
    assert "secret" not in page + answer.text


def test_lines_are_found_by_person_action_and_object_page_by_page(app: FastAPI, admin: Person) -> None:
    with transaction(app.state.engine) as session:
        for number in range(PAGE + 5):
            session.add(AuditEvent(actor="Ann", action="run.start", subject=f"run/{number}"))
        session.add(AuditEvent(actor="Bo", action="dataset.delete", subject="dataset/7 Calls_%"))
        session.add(AuditEvent(actor="Bo", action="dataset.delete", subject="dataset/77 Other"))

    def found(**asked: str | int) -> list[str]:
        events = admin.api.get("/api/v1/audit", params={**asked, "limit": 1000}).json()["events"]
        return [event["subject"] for event in events]

    assert len(found(subject="run", person="Ann")) == PAGE + 5
    assert found(subject="run/7") == ["run/7"]
    assert found(subject="dataset/7") == ["dataset/7 Calls_%"]
    assert found(action="dataset") == ["dataset/77 Other", "dataset/7 Calls_%"]
    assert found(action="dataset", person="Ann") == []
    first = admin.api.get("/api/v1/audit", params={"person": "Ann"}).json()
    rest = admin.api.get("/api/v1/audit", params={"person": "Ann", "before": first["next_before"]}).json()
    assert (len(first["events"]), len(rest["events"]), rest["next_before"]) == (PAGE, 5, None)
    page = admin.browser.get("/audit?person=Ann").text
    assert 'href="/runs/104"' in page
    assert f"/audit?person=Ann&amp;before={first['next_before']}" in page
    assert "/datasets/7" not in admin.browser.get("/audit?person=Bo").text, "what was deleted has no page"
    for wrong in ("before=0", "before=x", "limit=0"):
        assert admin.api.get(f"/api/v1/audit?{wrong}").status_code == 422


def recorded() -> set[str]:
    """Every action that the code records: literal ones, and those that end with the value of an enum."""
    found = set()
    for path in (CODE_FOLDER / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if called not in {"record", "begin", "_begin", "AuditEvent"}:
                continue
            given = [keyword.value for keyword in node.keywords if keyword.arg == "action"]
            given += node.args[4:5] if called == "_begin" else []
            if called == "record" and len(node.args) > 2:
                given.append(node.args[2])
            for action in given:
                for value in ast.walk(action):
                    if (
                        isinstance(value, ast.Constant)
                        and isinstance(value.value, str)
                        and "." in value.value
                    ) or (isinstance(value, ast.Constant) and isinstance(value.value, str)):
                        found.add(value.value)
    return found


def test_every_action_that_is_recorded_has_words() -> None:
    enums = {
        "conversation.": list(ReviewState),
        "run.": list(StopRequest),
        "job.": [how for how in StopRequest if how is not StopRequest.PAUSE],
        "job.move_": list(Move),
        "job.priority_": list(Priority),
        "user.role_": list(Role),
    }
    wanted = set()
    for action in recorded():
        wanted |= {action + member.value for member in enums[action]} if action in enums else {action}
    assert len(wanted) > 20
    assert wanted <= set(ACTIONS), wanted - set(ACTIONS)
