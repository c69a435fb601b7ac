"""Pages of datasets: lists, filters, bulk review, imports with their reports."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import event

from app.accounts.models import Role
from app.core import migrations
from app.core.database import transaction
from app.core.settings import Settings
from app.datasets import service
from app.main import create_app
from tests.conversations.conftest import ANN, DIALOGUE, MakeConversation
from tests.support.people import Person, make_person, problem_of, visible_text

HTMX = {"HX-Request": "true"}
GOOD = json.dumps({"messages": DIALOGUE}).encode()
BAD = b'{"messages": [{"role": "narrator", "content": "<b>x</b>"}]}'


@contextmanager
def counted(app: FastAPI) -> Iterator[list[str]]:
    """The statements that ran inside the block."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(app.state.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(app.state.engine, "before_cursor_execute", note)


def upload(person: Person, dataset_id: int, body: bytes, name: str = "calls.jsonl", **form: str) -> Response:
    return person.browser.post(f"/datasets/{dataset_id}/import", files={"file": (name, body)}, data=form)


def test_an_empty_list_says_what_to_do_next(annotator: Person) -> None:
    page = annotator.browser.get("/datasets")
    assert page.status_code == 200
    assert "import your sales conversations from a file" in visible_text(page.text)
    assert 'href="/datasets/new"' in page.text


def test_a_dataset_is_made_by_a_form_and_opened(annotator: Person) -> None:
    answer = annotator.browser.post("/datasets", data={"name": " Calls "})
    assert answer.status_code == 303
    page = annotator.browser.get(answer.headers["location"])
    assert "This dataset is empty" in visible_text(page.text)


@pytest.mark.parametrize(
    ("name", "reason"), [("", "1 to 80 characters"), ("Calls", "already a dataset named “Calls”")]
)
def test_a_bad_name_is_said_beside_the_field_and_what_was_typed_stays(
    annotator: Person, dataset_id: int, name: str, reason: str
) -> None:
    for headers in ({}, HTMX):
        page = annotator.browser.post(
            "/datasets", data={"name": name, "description": "First <calls>"}, headers=headers
        )
        assert page.status_code == 422
        assert reason in visible_text(page.text)
        assert 'aria-describedby="field-name-error' in page.text
        assert "First &lt;calls&gt;" in page.text


def test_lists_take_as_many_queries_for_many_rows_as_for_few(
    app: FastAPI, reviewer: Person, make: MakeConversation, dataset_id: int
) -> None:
    paths = [
        "/datasets",
        f"/datasets/{dataset_id}",
        f"/datasets/{dataset_id}/imports",
        f"/datasets/{dataset_id}/versions",
    ]

    def queries() -> list[int]:
        found = []
        for path in paths:
            with counted(app) as statements:
                assert reviewer.browser.get(path).status_code == 200
            found.append(len(statements))
        return found

    make()
    upload(reviewer, dataset_id, BAD)
    few = queries()
    with transaction(app.state.engine) as session:
        for number in range(20):
            service.create_dataset(session, ANN, name=f"Dataset {number}")
    for _number in range(20):
        make()
        upload(reviewer, dataset_id, BAD)
    assert queries() == few
    assert max(few) < 20


def test_the_list_is_filtered_searched_and_paged(
    annotator: Person, make: MakeConversation, dataset_id: int
) -> None:
    for number in range(55):
        make(
            messages=[{"role": "user", "content": f"Caller {number}"}, *DIALOGUE[1:]],
            outcome="won" if number < 3 else None,
        )
    page = visible_text(annotator.browser.get(f"/datasets/{dataset_id}").text)
    assert "1–50 of 55" in page
    page = visible_text(annotator.browser.get(f"/datasets/{dataset_id}?page=2").text)
    assert "51–55 of 55" in page
    assert "Caller 54" in page
    fragment = annotator.browser.get(
        f"/datasets/{dataset_id}?outcome=won&q=caller+1&review_state=",
        headers={**HTMX, "HX-Target": "conversation-list"},
    )
    assert "<html" not in fragment.text
    assert "outcome=won&amp;q=caller+1" in fragment.text
    assert "1–1 of 1" in visible_text(fragment.text)
    nothing = visible_text(annotator.browser.get(f"/datasets/{dataset_id}?q=zebra").text)
    assert "Take away a condition" in nothing


def test_going_back_in_the_browser_gets_a_whole_page(
    annotator: Person, make: MakeConversation, dataset_id: int
) -> None:
    make()
    headers = {**HTMX, "HX-History-Restore-Request": "true"}
    assert "<html" in annotator.browser.get(f"/datasets/{dataset_id}?q=cost", headers=headers).text


def states(person: Person, dataset_id: int) -> dict[int, str]:
    found = person.api.get(f"/api/v1/datasets/{dataset_id}/conversations").json()["conversations"]
    return {item["id"]: item["review_state"] for item in found}


def test_a_reviewer_decides_on_several_at_once(
    reviewer: Person, make: MakeConversation, dataset_id: int
) -> None:
    numbers = [make() for _number in range(4)]
    path = f"/datasets/{dataset_id}/review"
    form = {"ids": numbers[:2], "state": "rejected", "reason": "Too short"}
    assert reviewer.browser.post(path, data=form).status_code == 303
    answer = reviewer.browser.post(path, data={"scope": "drafts", "state": "approved"}, headers=HTMX)
    assert "2 conversations approved." in answer.headers["HX-Trigger"]
    assert states(reviewer, dataset_id) == dict(
        zip(numbers, ["rejected"] * 2 + ["approved"] * 2, strict=True)
    )


def test_what_cannot_be_approved_is_named_and_the_rest_goes_through(
    reviewer: Person, make: MakeConversation, dataset_id: int
) -> None:
    good, empty = make(), make(messages=[{"role": "user", "content": "Hi"}])
    answer = reviewer.browser.post(
        f"/datasets/{dataset_id}/review", data={"scope": "drafts", "state": "approved"}, headers=HTMX
    )
    said = json.loads(answer.headers["HX-Trigger"])["toast"]
    assert said["kind"] == "warn"
    assert "1 was left out: “Hi”. There is no assistant turn" in said["message"]
    assert said["link_url"] == f"/conversations/{empty}"
    assert states(reviewer, dataset_id) == {good: "approved", empty: "draft"}


def test_an_approval_of_many_is_undone_from_its_toast(
    annotator: Person, reviewer: Person, make: MakeConversation, dataset_id: int
) -> None:
    first, second, third = make(), make(), make()
    path = f"/datasets/{dataset_id}/review"
    reviewer.browser.post(path, data={"ids": [first], "state": "approved"})
    answer = reviewer.browser.post(
        f"{path}?q=cost", data={"scope": "drafts", "state": "approved"}, headers=HTMX
    )
    undo = json.loads(answer.headers["HX-Trigger"])["toast"]["undo_url"]
    assert annotator.browser.post(undo, headers=HTMX).status_code == 403
    undone = reviewer.browser.post(undo, headers=HTMX)
    assert "2 are unreviewed again." in undone.headers["HX-Trigger"]
    assert undone.headers["HX-Retarget"] == "#conversation-list"
    assert states(reviewer, dataset_id) == {first: "approved", second: "draft", third: "draft"}
    again = reviewer.browser.post(undo, headers=HTMX)
    assert again.status_code == 409
    assert "Nothing is left to undo" in problem_of(again)
    # What was sent back with a reason would come back without it: that is not offered.
    reviewer.browser.post(path, data={"ids": [second], "state": "rejected", "reason": "Too short"})
    answer = reviewer.browser.post(path, data={"ids": [second], "state": "approved"}, headers=HTMX)
    assert json.loads(answer.headers["HX-Trigger"])["toast"]["undo_url"] is None


def test_bulk_review_refuses_what_it_must(
    annotator: Person, reviewer: Person, make: MakeConversation, dataset_id: int
) -> None:
    number = make()
    path = f"/datasets/{dataset_id}/review"
    assert "data-bulk-bar" not in annotator.browser.get(f"/datasets/{dataset_id}").text
    assert annotator.browser.post(path, data={"ids": [number], "state": "approved"}).status_code == 403
    assert reviewer.browser.post(path, data={"state": "approved"}, headers=HTMX).status_code == 422
    assert "Say why" in problem_of(
        reviewer.browser.post(path, data={"ids": [number], "state": "rejected"}, headers=HTMX)
    )
    other = reviewer.api.post("/api/v1/datasets", json={"name": "Other"}).json()["id"]
    for foreign in (
        reviewer.browser.post(f"/datasets/{other}/review", data={"ids": [number], "state": "approved"}),
        reviewer.api.post(
            f"/api/v1/datasets/{other}/review", json={"conversation_ids": [number], "state": "approved"}
        ),
    ):
        assert foreign.status_code == 404
    assert states(reviewer, dataset_id) == {number: "draft"}


def test_an_import_leads_to_its_report(annotator: Person, dataset_id: int) -> None:
    answer = upload(annotator, dataset_id, GOOD + b"\n" + GOOD)
    assert answer.status_code == 303
    page = visible_text(annotator.browser.get(answer.headers["location"]).text)
    assert "Added 1" in page
    assert "Duplicates 1" in page
    assert "Imported" in visible_text(annotator.browser.get(f"/datasets/{dataset_id}/imports").text)


def test_a_bad_file_brings_nothing_and_names_its_lines(annotator: Person, dataset_id: int) -> None:
    answer = annotator.browser.post(
        f"/datasets/{dataset_id}/import", files={"file": ("calls.jsonl", GOOD + b"\n" + BAD)}, headers=HTMX
    )
    assert answer.status_code == 422
    text = visible_text(answer.text)
    assert "the whole file was left out" in text
    assert "Line 2, message 1: the role “narrator” is unknown" in text
    assert "Import again, skipping bad lines" in text
    assert states(annotator, dataset_id) == {}
    skipped = upload(annotator, dataset_id, GOOD + b"\n" + BAD, skip_bad="true")
    page = visible_text(annotator.browser.get(skipped.headers["location"]).text)
    assert "Imported in part" in page
    assert len(states(annotator, dataset_id)) == 1


def test_a_report_belongs_to_its_dataset(annotator: Person, dataset_id: int) -> None:
    number = upload(annotator, dataset_id, GOOD).headers["location"].rsplit("/", 1)[1]
    other = annotator.api.post("/api/v1/datasets", json={"name": "Other"}).json()["id"]
    assert annotator.browser.get(f"/datasets/{other}/imports/{number}").status_code == 404


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("photo.png", b"\x89PNG\r\n\x1a\n" + bytes(200)),
        ("half.jsonl", b'{"messages": [{"role": "user", "cont'),
        ("empty.jsonl", b""),
        ("empty-dialogue.jsonl", b'{"messages": []}'),
    ],
)
def test_every_kind_of_bad_file_gets_a_sentence(
    annotator: Person, dataset_id: int, name: str, body: bytes
) -> None:
    chinese = {**HTMX, "Accept-Language": "zh"}
    answer = annotator.browser.post(
        f"/datasets/{dataset_id}/import",
        files={"file": (name, body)},
        headers=chinese,
    )
    assert answer.status_code == 422
    assert "没有导入任何对话" in visible_text(answer.text)
    # Skipping lines cannot help where the file as a whole is of the wrong kind, or nothing in it was recognised.
    assert "跳过问题行" not in answer.text
    rest = annotator.api.post(f"/api/v1/datasets/{dataset_id}/imports", files={"file": (name, body)})
    assert rest.status_code == 422
    assert rest.json()["problems"][0]["message"]
    assert states(annotator, dataset_id) == {}


def test_an_import_without_a_file_is_asked_for_one(annotator: Person, dataset_id: int) -> None:
    page = annotator.browser.post(f"/datasets/{dataset_id}/import", data={"format": "csv"})
    assert page.status_code == 422
    assert "Choose a file first, or paste something." in visible_text(page.text)
    assert '<option value="csv" selected>' in page.text


@pytest.fixture
def small(tmp_path: Path) -> Iterator[FastAPI]:
    """An installation that takes 1 MB at most."""
    app = create_app(Settings(data_dir=tmp_path / "small", max_upload_bytes=1024 * 1024))
    migrations.upgrade(app.state.engine)
    yield app
    app.state.engine.dispose()


def test_a_file_that_is_too_large_is_refused_in_words_however_it_is_sent(small: FastAPI) -> None:
    person = make_person(small, Role.ANNOTATOR)
    number = person.api.post("/api/v1/datasets", json={"name": "Calls"}).json()["id"]
    body = b"x" * (4 * 1024 * 1024)
    page = upload(person, number, body)
    assert page.status_code == 413
    assert "larger than the limit of 1 MB" in visible_text(page.text)
    assert "<html" in page.text
    fragment = person.browser.post(
        f"/datasets/{number}/import", files={"file": ("a.jsonl", body)}, headers=HTMX
    )
    rest = person.api.post(f"/api/v1/datasets/{number}/imports", files={"file": ("a.jsonl", body)})
    for answer in (fragment, rest):
        assert answer.status_code == 413
        assert "larger than the limit of 1 MB" in problem_of(answer)


def test_a_file_of_unknown_length_is_stopped_at_the_limit_too(small: FastAPI) -> None:
    person = make_person(small, Role.ANNOTATOR)
    number = person.api.post("/api/v1/datasets", json={"name": "Calls"}).json()["id"]

    def chunks() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
        for _number in range(64):
            yield b"x" * 65536
        yield b"\r\n--b--\r\n"

    client: TestClient = person.browser
    answer = client.post(
        f"/datasets/{number}/import",
        content=chunks(),
        headers={"Content-Type": "multipart/form-data; boundary=b", **HTMX},
    )
    assert answer.status_code == 413
    assert "larger than the limit of 1 MB" in problem_of(answer)


def test_titles_and_names_are_text(reviewer: Person, make: MakeConversation) -> None:
    nasty = "<img src=x onerror=alert(1)>\"'{{ 7*7 }}"
    made = reviewer.browser.post("/datasets", data={"name": nasty, "description": nasty}).headers["location"]
    body = json.dumps(
        {"messages": [{"role": "user", "content": nasty}, *DIALOGUE[1:]], "stage": nasty}
    ).encode()
    reviewer.browser.post(f"{made}/import", files={"file": (nasty.replace('"', ""), body)})
    for path in ("/datasets", made, f"{made}/imports", f"{made}/imports/1", f"{made}/import"):
        html = reviewer.browser.get(path).text
        assert "onerror" in html
        assert "<img src=x" not in html


def test_a_new_conversation_is_stored_with_its_first_words(annotator: Person, dataset_id: int) -> None:
    path = f"/datasets/{dataset_id}/conversations"
    assert 'name="asked"' in annotator.browser.get(f"{path}/new").text
    refused = annotator.browser.post(path, data={"asked": " \n"})
    assert (refused.status_code, "Write what is said first." in refused.text) == (422, True)
    assert annotator.api.get(f"/api/v1{path}").json()["total"] == 0
    answer = annotator.browser.post(path, data={"asked": "How much?\r\nPer month?", "answered": ""})
    assert answer.headers["location"].endswith("#turn-2")
    (found,) = annotator.api.get(f"/api/v1{path}").json()["conversations"]
    assert [message["content"] for message in found["messages"]] == ["How much?\nPer month?", ""]
    twice = annotator.browser.post(path, data={"asked": "How much?\r\nPer month?"})
    assert (twice.status_code, "How much?" in twice.text) == (409, True)


def test_every_page_speaks_chinese(engineer: Person, make: MakeConversation, dataset_id: int) -> None:
    number = make()
    upload(engineer, dataset_id, BAD)
    for path in (
        "",
        "/new",
        f"/{dataset_id}",
        f"/{dataset_id}/versions",
        f"/{dataset_id}/imports",
        f"/{dataset_id}/import",
        f"/{dataset_id}/imports/1",
    ):
        page = engineer.browser.get(f"/datasets{path}", headers={"Accept-Language": "zh-CN"})
        assert page.status_code == 200
        assert 'lang="zh-CN"' in page.text
        assert "数据集" in visible_text(page.text)
    assert (
        "必训练"
        in engineer.browser.get(f"/conversations/{number}", headers={"Accept-Language": "zh-CN"}).text
    )
