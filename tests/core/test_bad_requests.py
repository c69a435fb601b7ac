"""Requests that cannot be right are answered in words, in the reader's language, alike on both databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Response

from app.accounts.models import Role
from app.core import migrations
from app.core.settings import Settings
from app.datasets import service
from app.main import create_app
from tests.support.people import Person, make_person, problem_of, visible_text
from tests.support.routes import all_routes

HUGE = 10**25


@pytest.fixture
def person(tmp_path: Path, database_url: str) -> Iterator[Person]:
    app = create_app(Settings(data_dir=tmp_path / "data", database_url=database_url))
    migrations.upgrade(app.state.engine)
    yield make_person(app, Role.ENGINEER)
    app.state.engine.dispose()


def refused(answer: Response) -> str:
    assert answer.status_code == 422, answer.text
    return problem_of(answer)


def test_numbers_too_large_and_text_with_nul_are_refused(person: Person) -> None:
    api = person.api
    number = api.post("/api/v1/datasets", json={"name": "Calls"}).json()["id"]
    path = f"/api/v1/datasets/{number}"
    dialogue = {"messages": [{"role": "user", "content": "Hi"}]}
    for answer in (
        api.get(f"/api/v1/datasets/{HUGE}"),
        api.delete(f"/api/v1/datasets/{HUGE}"),
        api.get(f"{path}/conversations?q=%00"),
        api.patch(path, json={"description": "a\x00b"}),
        api.post(f"{path}/review", json={"state": "approved", "conversation_ids": [HUGE]}),
    ):
        assert "number that is too large, or text that cannot be stored" in refused(answer)
    assert "(U+0000)" in refused(api.post("/api/v1/datasets", json={"name": "a\x00b"}))
    for message in ({"content": "a\x00"}, {"content": "a", "name": "\x00"}):
        answer = api.post(f"{path}/conversations", json={"messages": [{"role": "user", **message}]})
        assert "Turn 1 contains characters that cannot be stored" in refused(answer)
    answer = api.post(f"{path}/conversations", json={**dialogue, "stage": "\x00"})
    assert "The label stage contains characters that cannot be stored" in refused(answer)
    # Nothing of all that stayed, and the database goes on.
    assert [item["name"] for item in api.get("/api/v1/datasets").json()] == ["Calls"]
    assert api.get(f"{path}/conversations").json()["total"] == 0
    typed = {"name": "Other calls", "description": "a\x00b"}
    page = person.browser.post("/datasets", data=typed, headers={"Accept-Language": "zh-CN"})
    assert page.status_code == 422
    assert "无法保存的文本" in visible_text(page.text)


@pytest.mark.parametrize(
    ("body", "english", "chinese"),
    [
        ({}, "name is missing.", "缺少 name。"),
        ({"name": 5}, "name must be text.", "name 必须是文本。"),
        ({"name": "x" * 81}, "name must have at most 80 characters.", "name 最多 80 个字符。"),
        ({"name": "x", "nme": 1}, "There is no field nme here.", "这里没有 nme 这个字段"),
        ([], "The body must be a JSON object.", "请求正文必须是 JSON 对象。"),
    ],
)
def test_a_wrong_field_is_named_in_both_languages(
    annotator: Person, body: Any, english: str, chinese: str
) -> None:
    for locale, expected in (("en", english), ("zh-CN", chinese)):
        answer = annotator.api.post("/api/v1/datasets", json=body, headers={"Accept-Language": locale})
        assert expected in refused(answer)


# What pages send along: numbers, choices of a list, the way back.
SENT_ALONG = {
    *("action", "back", "mapping", "scope", "version"),
    *("conversation", "order", "field", "side", "text", "question", "answer", "system", "id", "parent", "only_column"),
}  # fmt: skip


def test_a_page_calls_a_wrong_field_as_its_form_does_and_programs_get_its_own_name(person: Person) -> None:
    wrong = {"run_id": "1", "suite": "sales-en", "max_cases": "many", "max_minutes": "0"}
    words = visible_text(person.browser.post("/evaluations", data=wrong).text)
    assert "Cases at most must be a whole number. Minutes at most must be more than 0." in words
    part = person.browser.post("/evaluations", data=wrong, headers={"HX-Request": "true"})
    assert "Cases at most must be a whole number." in problem_of(part)
    chinese = person.browser.post("/evaluations", data=wrong, headers={"Accept-Language": "zh-CN"}).text
    assert "max_cases" not in visible_text(chinese)
    assert "最多题目数 必须是整数" in visible_text(chinese)


def test_every_field_that_a_person_types_into_a_page_has_the_name_that_stands_beside_it(
    person: Person,
) -> None:
    unnamed = set()
    for _verb, route in all_routes(person.browser.app):  # type: ignore[attr-defined]
        waiting = [] if route.include_in_schema else [route.dependant]
        while waiting:
            dependant = waiting.pop()
            waiting += dependant.dependencies
            fields = dependant.body_params
            unnamed |= {
                (route.path, one.alias)
                for one in fields
                if one.field_info.metadata and not one.field_info.title
            }
    assert {(path, name) for path, name in unnamed if name not in SENT_ALONG} == set()


def test_wrong_addresses_and_files_are_named_too(annotator: Person, settings: Settings) -> None:
    api = annotator.api
    assert "dataset_id must be a whole number" in refused(api.get("/api/v1/datasets/abc"))
    number = api.post("/api/v1/datasets", json={"name": "Calls"}).json()["id"]
    path = f"/api/v1/datasets/{number}"
    assert "limit must be at most 200" in refused(api.get(f"{path}/conversations?limit=1000"))
    wrong = refused(api.get(f"{path}/conversations?review_state=foo"))
    assert "review_state must be one of: draft, handed_in, approved, rejected, discarded." in wrong
    page = annotator.browser.get(f"/datasets/{number}?review_state=foo")
    assert visible_text(page.text).count("review_state") == 1
    assert "file must be a file" in refused(api.post(f"{path}/imports", data={"file": "hello"}))
    json_type = {"Content-Type": "application/json", "Accept-Language": "zh-CN"}
    assert "请求正文不是合法的 JSON" in refused(
        api.post("/api/v1/datasets", content=b'{"name": "a', headers=json_type)
    )
    deep = api.post("/api/v1/datasets", content=b"[" * 100_000, headers=json_type)
    assert (deep.status_code, "无法读取请求" in problem_of(deep)) == (400, True)


def test_who_comes_second_by_a_moment_is_told_so(
    person: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"name": "Calls", "description": "Secret words"}
    assert person.api.post("/api/v1/datasets", json=body).status_code == 201
    # As it is when the other transaction commits between our look and our insert.
    monkeypatch.setattr(service, "find_holder", lambda *_arguments: None)
    answer = person.api.post("/api/v1/datasets", json=body)
    assert (answer.status_code, "at the same moment" in problem_of(answer)) == (409, True)
    page = person.browser.post("/datasets", data=body, headers={"Accept-Language": "zh-CN"})
    assert (page.status_code, "请刷新后重试" in visible_text(page.text)) == (409, True)
    assert "Secret words" not in caplog.text
