"""Tools of a conversation: created, read, changed, restored and never lost by editing turns."""

import json
from typing import Any

import pytest

from tests.conversations.conftest import DIALOGUE
from tests.support.people import Person, visible_text

PRICE = {
    "type": "function",
    "function": {
        "name": "price",
        "description": "查价格 <b>",
        "parameters": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]},
    },
}
STOCK = {"type": "function", "function": {"name": "stock"}}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def number(annotator: Person, dataset_id: int) -> int:
    """A conversation with a tool."""
    body = {"messages": DIALOGUE, "tools": [PRICE]}
    answer = annotator.api.post(f"/api/v1/datasets/{dataset_id}/conversations", json=body)
    assert (answer.status_code, answer.json()["tools"]) == (201, [PRICE])
    found: int = answer.json()["id"]
    return found


def read(person: Person, number: int) -> dict[str, Any]:
    found: dict[str, Any] = person.api.get(f"/api/v1/conversations/{number}").json()
    return found


def test_tools_are_changed_taken_away_and_brought_back(annotator: Person, number: int) -> None:
    path = f"/api/v1/conversations/{number}"
    changed = annotator.api.patch(path, json={"version": 1, "tools": [PRICE, {"name": "stock"}]}).json()
    assert (changed["version"], changed["tools"]) == (2, [PRICE, STOCK])
    assert annotator.api.patch(path, json={"version": 2, "tools": None}).json()["tools"] == []
    restored = annotator.api.post(f"{path}/restore", json={"version": 3, "wanted": 2}).json()
    assert restored["tools"] == [PRICE, STOCK]
    # What is absent stays.
    kept = annotator.api.patch(path, json={"version": 4, "messages": DIALOGUE[:2]}).json()
    assert (kept["tools"], len(kept["messages"])) == ([PRICE, STOCK], 2)


def test_changing_tools_takes_an_approval_back(annotator: Person, reviewer: Person, number: int) -> None:
    path = f"/api/v1/conversations/{number}"
    approved = reviewer.api.post(f"{path}/review", json={"version": 1, "state": "approved"}).json()
    changed = annotator.api.patch(path, json={"version": approved["version"], "tools": [STOCK]}).json()
    assert changed["review_state"] == "draft"


def test_the_page_shows_tools_and_editing_a_turn_keeps_them(annotator: Person, number: int) -> None:
    page = annotator.browser.get(f"/conversations/{number}").text
    text = visible_text(page)
    assert "price" in text
    assert "查价格 &lt;b&gt;" in page
    assert "sku" in text
    edits: list[tuple[str, dict[str, Any]]] = [
        ("turns/0", {"content": "And now?"}),
        ("turns/0/change", {"action": "add"}),
        ("turns/1/change", {"action": "delete"}),
        ("turns/1/change", {"action": "train:never"}),
        ("labels", {"stage": "demo"}),
    ]
    for version, (path, fields) in enumerate(edits, 1):
        answer = annotator.browser.post(
            f"/conversations/{number}/{path}", data={"version": version, **fields}, headers=HTMX
        )
        assert answer.status_code == 200, answer.text
    stored = read(annotator, number)
    assert (stored["version"], stored["tools"]) == (6, [PRICE])


def test_a_tool_that_is_a_name_alone_is_shown(annotator: Person, number: int) -> None:
    annotator.api.patch(f"/api/v1/conversations/{number}", json={"version": 1, "tools": [STOCK]})
    page = annotator.browser.get(f"/conversations/{number}")
    assert (page.status_code, "<code>stock</code>" in page.text) == (200, True)


def test_tools_are_written_on_the_page_and_what_is_wrong_is_named_by_line_or_tool(
    annotator: Person, dataset_id: int, make: Any
) -> None:
    number = make()
    assert read(annotator, number)["tools"] == []
    page = annotator.browser.get(f"/conversations/{number}").text
    assert "The chat template gets them" not in page
    assert "Add tools" in visible_text(page)
    path = f"/conversations/{number}/tools"

    def save(text: str, version: int = 1, **more: Any) -> Any:
        return annotator.browser.post(path, data={"version": version, "tools": text}, **more)

    for wrong, says in (
        ('[\n {"name": "price",}\n]', "Line 2 is not valid JSON"),
        ('[{"name": "price"}, {"name": "a b"}]', "Tool 2: “function.name” must be"),
        ('{"name": "price"}', "“tools” must be a list of tools"),
        (
            '[{"name": "p", "parameters": {"type": "array"}}]',
            "Tool 1: “function.parameters” must be a JSON Schema",
        ),
    ):
        for headers in ({}, HTMX):
            refused = save(wrong, headers=headers)
            assert refused.status_code == 422
            assert says in " ".join(visible_text(refused.text).split())
    assert read(annotator, number)["version"] == 1
    saved = save(json.dumps([PRICE, {"name": "stock"}]), headers=HTMX)
    assert (saved.status_code, read(annotator, number)["tools"]) == (200, [PRICE, STOCK])
    assert "查价格" in saved.text
    assert save("[]", version=1, headers=HTMX).status_code == 409
    emptied = save(" ", version=2)
    assert (emptied.status_code, read(annotator, number)["tools"]) == (303, [])
    assert "Changed the tools" in visible_text(annotator.browser.get(f"/conversations/{number}").text)


@pytest.mark.parametrize(
    ("record", "filename"),
    [
        ({"messages": DIALOGUE, "tools": [PRICE, STOCK]}, "openai.jsonl"),
        ({"messages": DIALOGUE, "functions": [PRICE["function"], STOCK["function"]]}, "old.jsonl"),
        ({"messages": DIALOGUE, "tools": "TEXT"}, "arrow.jsonl"),
    ],
)
def test_files_bring_their_tools(
    annotator: Person, dataset_id: int, record: dict[str, Any], filename: str
) -> None:
    if record.get("tools") == "TEXT":
        record = {**record, "tools": json.dumps([PRICE, STOCK], ensure_ascii=False)}
    path = f"/api/v1/datasets/{dataset_id}"
    answer = annotator.api.post(f"{path}/imports", files={"file": (filename, json.dumps(record).encode())})
    assert (answer.status_code, answer.json()["notes"]) == (201, [])
    (found,) = annotator.api.get(f"{path}/conversations").json()["conversations"]
    assert found["tools"] == [PRICE, STOCK]
