"""Imports that are told what tool the file comes from: through REST and from the page."""

import json
from typing import Any

import pytest

from tests.support.people import Person, problem_of, visible_text

INFO = {
    "mine": {
        "file_name": "talks.json",
        "formatting": "sharegpt",
        "columns": {"messages": "dialog"},
        "tags": {"role_tag": "who", "content_tag": "what", "user_tag": "buyer_1", "assistant_tag": "us"},
    },
    "other": {"file_name": "other.json"},
}
TURNS = [
    {"who": "buyer_1", "what": "Too expensive."},
    {"who": "us", "what": "Compared with what?"},
    {"who": "buyer_1", "what": "Theirs."},
    {"who": "us", "what": "What does theirs include?"},
]
FILE = json.dumps([{"dialog": TURNS}]).encode()
HTMX = {"HX-Request": "true"}


def files(name: str = "talks.json", info: Any = INFO) -> dict[str, tuple[str, bytes]]:
    return {"file": (name, FILE), "dataset_info": ("dataset_info.json", json.dumps(info).encode())}


def flags(person: Person, dataset_id: int) -> list[bool | None]:
    (found,) = person.api.get(f"/api/v1/datasets/{dataset_id}/conversations").json()["conversations"]
    return [message.get("train") for message in found["messages"]]


def test_dataset_info_and_mask_history_come_with_the_file(annotator: Person, dataset_id: int) -> None:
    path = f"/api/v1/datasets/{dataset_id}/imports"
    report = annotator.api.post(path, files=files(), data={"mask": "last_assistant"})
    assert (report.status_code, report.json()["accepted"]) == (201, 1), report.text
    assert flags(annotator, dataset_id) == [None, False, None, None]


def test_an_import_by_name_is_told_the_same(annotator: Person) -> None:
    data = {"dataset": "New", "mask": "everything", "dataset_info_entry": "mine"}
    report = annotator.api.post("/api/v1/imports", files=files("renamed.json"), data=data)
    assert report.status_code == 201, report.text
    assert flags(annotator, report.json()["dataset_id"]) == [True, None, True, None]


@pytest.mark.parametrize(
    ("name", "data", "field", "says"),
    [
        ("renamed.json", {}, "dataset_info_entry", "Say which entry describes it: mine, other."),
        ("talks.json", {"dataset_info_entry": "none"}, "dataset_info_entry", "has no entry “none”"),
        ("talks.json", {"format": "alpaca"}, "format", "says that the file is sharegpt"),
    ],
)
def test_what_cannot_be_applied_is_refused_by_field_and_nothing_comes_in(
    annotator: Person, dataset_id: int, name: str, data: dict[str, str], field: str, says: str
) -> None:
    refused = annotator.api.post(f"/api/v1/datasets/{dataset_id}/imports", files=files(name), data=data)
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert says in problem_of(refused)
    assert annotator.api.get(f"/api/v1/datasets/{dataset_id}/conversations").json()["total"] == 0
    assert annotator.api.get(f"/api/v1/datasets/{dataset_id}/imports").json() == []
    page = annotator.browser.post(f"/datasets/{dataset_id}/import", files=files(name), data=data)
    assert page.status_code == 422
    assert says in visible_text(page.text)
    assert "<details open>" in page.text
    toast = annotator.browser.post(
        f"/datasets/{dataset_id}/import", files=files(name), data=data, headers=HTMX
    )
    assert says in problem_of(toast)


def test_an_entry_without_its_file_is_noticed(annotator: Person, dataset_id: int) -> None:
    refused = annotator.api.post(
        f"/api/v1/datasets/{dataset_id}/imports",
        files={"file": ("talks.json", FILE)},
        data={"dataset_info_entry": "mine"},
    )
    assert (refused.status_code, refused.json()["field"]) == (422, "dataset_info")


def test_the_page_imports_with_what_it_is_told(annotator: Person, dataset_id: int) -> None:
    form = annotator.browser.get(f"/datasets/{dataset_id}/import").text
    assert "The file comes from another tool" in visible_text(form)
    assert "<details open>" not in form
    line = {
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "learn": False}]
    }
    sent = annotator.browser.post(
        f"/datasets/{dataset_id}/import",
        files={"file": ("x.jsonl", json.dumps(line).encode()), "dataset_info": ("", b"")},
        data={"train_field": "learn"},
    )
    assert sent.status_code == 303
    assert flags(annotator, dataset_id) == [None, False]


def test_flags_that_a_choice_replaces_are_told_in_the_report(annotator: Person, dataset_id: int) -> None:
    line = {
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "weight": 0}]
    }
    report = annotator.api.post(
        f"/api/v1/datasets/{dataset_id}/imports",
        files={"file": ("x.jsonl", json.dumps(line).encode())},
        data={"mask": "assistant"},
    ).json()
    assert [note["code"] for note in report["notes"]] == ["flags_replaced"]
