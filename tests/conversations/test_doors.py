"""The same fault is refused with the same sentence and code by a file, REST, a page and the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.accounts.who import Who
from app.conversations.drafts import build_conversation
from app.conversations.models import Conversation
from app.core.database import transaction
from app.dialogue import limits
from app.dialogue.reading import read_conversation
from tests.cli.conftest import LiveServer, live
from tests.conversations.conftest import DIALOGUE
from tests.support.people import Person

__all__ = ["live"]
JSON = {"Content-Type": "application/json"}
HTMX = {"HX-Request": "true"}
Told = tuple[str, str]  # code and sentence


def told(answer: Any) -> Told:
    """What a problem document says."""
    assert answer.status_code == 422, answer.text
    body = answer.json()
    return body["code"], body["detail"]


def by_file(person: Person, dataset_id: int, body: dict[str, Any]) -> Told:
    """Without the place in the file, which comes before the sentence."""
    file = {"file": ("a.jsonl", json.dumps(body).encode())}
    answer = person.api.post(f"/api/v1/datasets/{dataset_id}/imports", files=file)
    assert answer.status_code == 422, answer.text
    (problem,) = answer.json()["problems"]
    assert problem["message"].startswith("Line 1: ")
    return problem["code"], problem["message"].removeprefix("Line 1: ")


def by_rest(person: Person, dataset_id: int, body: dict[str, Any]) -> Told:
    return told(person.api.post(f"/api/v1/datasets/{dataset_id}/conversations", json=body))


def by_change(person: Person, number: int, body: dict[str, Any]) -> Told:
    said = {name: body[name] for name in ("messages", "tools") if name in body}
    labels = {name: value for name, value in body.items() if name not in said}
    edit = {"version": 1, **said, **({"labels": labels} if labels else {})}
    # Written here, for a client refuses to send half a character.
    sent = json.dumps(edit)
    return told(person.api.patch(f"/api/v1/conversations/{number}", content=sent, headers=JSON))


def by_command(live: LiveServer, folder: Path, body: dict[str, Any]) -> str:
    path = folder / "a.jsonl"
    path.write_text(json.dumps(body), encoding="utf-8")
    outcome = live.run("import", str(path), "--dataset", "Calls")
    assert outcome.code == 1
    return outcome.stdout + outcome.stderr


CALL = {"role": "assistant", "content": "", "tool_calls": [{"id": "x"}]}
DEEP: Any = "x"
for _ in range(300):
    DEEP = {"a": DEEP}
TWICE = [{"type": "function", "function": {"name": "price"}}] * 2
FAULTS: dict[str, tuple[dict[str, Any], Told]] = {
    "too many messages": (
        {"messages": [DIALOGUE[0]] * (limits.MESSAGES + 1)},
        ("too_many_messages", "A conversation can have at most 2,000 messages. Split it."),
    ),
    "a long text": (
        {"messages": [{"role": "user", "content": "x" * 200_001}]},
        ("text_too_long", "Turn 1: “content” is longer than 200,000 characters."),
    ),
    "a long label": (
        {"messages": DIALOGUE[:1], "stage": "x" * 61},
        ("label_too_long", "The label stage is longer than 60 characters."),
    ),
    "a long product": (
        {"messages": DIALOGUE[:1], "product": "x" * 121},
        ("label_too_long", "The label product is longer than 120 characters."),
    ),
    "a long tag": (
        {"messages": DIALOGUE[:1], "tags": ["x" * 41]},
        ("label_too_long", "The label tags is longer than 40 characters."),
    ),
    "many tags": (
        {"messages": DIALOGUE[:1], "tags": [str(number) for number in range(51)]},
        ("too_many_tags", "A conversation can have at most 50 tags."),
    ),
    "a call without a function": (
        {"messages": [DIALOGUE[0], CALL]},
        (
            "bad_tool_calls",
            "Turn 2: “tool_calls” must be a list of calls, each with a “function” that has a “name”.",
        ),
    ),
    "a tool twice": (
        {"messages": DIALOGUE[:1], "tools": TWICE},
        ("tool_twice", "Tool 2 has the name “price” of a tool before it. Rename one of them."),
    ),
}


@pytest.mark.parametrize(("body", "expected"), FAULTS.values(), ids=FAULTS)
def test_files_and_rest_refuse_it_alike(
    annotator: Person, dataset_id: int, make: Any, body: dict[str, Any], expected: Told
) -> None:
    number = make()
    assert by_file(annotator, dataset_id, body) == expected
    assert by_rest(annotator, dataset_id, body) == expected
    assert by_change(annotator, number, body) == expected


def test_the_command_line_says_the_sentence_with_its_line(live: LiveServer, tmp_path: Path) -> None:
    for body, (_code, sentence) in FAULTS.values():
        assert f"Line 1: {sentence}" in by_command(live, tmp_path, body)


def test_the_page_refuses_a_long_label_and_one_message_too_many_alike(
    app: FastAPI, annotator: Person, dataset_id: int, make: Any
) -> None:
    number = make()
    for name, limit in (("stage", 60), ("product", 120), ("tags", 40)):
        fields = {"version": 1, name: "x" * (limit + 1)}
        answer = annotator.browser.post(f"/conversations/{number}/labels", data=fields, headers=HTMX)
        sentence = f"The label {name} is longer than {limit} characters."
        assert told(answer) == ("label_too_long", sentence)
    with transaction(app.state.engine) as session:
        full = read_conversation({"messages": [DIALOGUE[0]] * limits.MESSAGES})
        row = build_conversation(dataset_id, full, author=Who("Ann"))
        session.add(row)
        session.flush()
        longest = row.id
    fields = {"version": 1, "action": "add"}
    answer = annotator.browser.post(f"/conversations/{longest}/turns/0/change", data=fields, headers=HTMX)
    assert told(answer) == FAULTS["too many messages"][1]
    plain = annotator.browser.post(f"/conversations/{longest}/turns/0/change", data=fields)
    assert (plain.status_code, FAULTS["too many messages"][1][1] in plain.text) == (422, True)


def test_a_file_over_the_limit_is_refused_alike_and_the_setting_is_named(
    annotator: Person, dataset_id: int
) -> None:
    expected = (
        "The upload is larger than the limit of 64 MB. Split the file and import the parts, or raise "
        "SFT_STUDIO_MAX_UPLOAD_BYTES."
    )
    length = {"content-length": str(66 * limits.MIB)}
    form = {**length, "content-type": "multipart/form-data; boundary=x"}
    answer = annotator.api.post(f"/api/v1/datasets/{dataset_id}/imports", content=b"--x--", headers=form)
    assert answer.status_code == 413
    assert (answer.json()["code"], answer.json()["detail"]) == ("file_too_large", expected)
    page = annotator.browser.get(f"/datasets/{dataset_id}/import").text
    assert f'data-too-large="{expected}"' in page


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (
            {"messages": [{**CALL, "tool_calls": [{"function": {"name": "f", "arguments": DEEP}}]}]},
            "too_deep",
        ),
        ({"messages": DIALOGUE[:1], "tools": [{"name": "f", "parameters": DEEP}]}, "too_deep"),
        ({"messages": DIALOGUE[:1], "tags": ["\ud800"]}, "text_not_storable"),
        ({"messages": DIALOGUE[:1], "tags": ["a\x00"]}, "text_not_storable"),
        ({"messages": [{"role": "user", "content": "a\x00"}]}, "text_not_storable"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "text_not_storable"),
        ({"messages": [{**DIALOGUE[0], "train": 0}]}, "bad_train"),
        ({"messages": 3}, "messages_not_list"),
        ({"messages": [3]}, "message_not_object"),
        ({"messages": DIALOGUE[:1], "stage": {}}, "label_not_text"),
        ({"messages": DIALOGUE[:1], "outcome": "maybe"}, "outcome_unknown"),
    ],
)
def test_hostile_json_is_a_sentence_at_every_route_and_nothing_is_stored(
    app: FastAPI, annotator: Person, dataset_id: int, make: Any, body: dict[str, Any], code: str
) -> None:
    number = make()
    sent = json.dumps(body)
    created = annotator.api.post(f"/api/v1/datasets/{dataset_id}/conversations", content=sent, headers=JSON)
    assert told(created)[0] == code
    assert by_change(annotator, number, body)[0] == code
    if set(body) <= {"messages", "tools"}:
        looked = json.dumps({"base_model_id": 1, **body})
        assert told(annotator.api.post("/api/v1/mask-previews", content=looked, headers=JSON))[0] == code
    with transaction(app.state.engine) as session:
        assert len(session.exec(select(Conversation.id)).all()) == 1


def test_numbers_that_json_has_not_are_refused(annotator: Person, dataset_id: int) -> None:
    path = f"/api/v1/datasets/{dataset_id}/conversations"
    refused = {
        "NaN": "not_a_number",
        "Infinity": "not_a_number",
        "1e999": "number_too_large",
        "1" * 401: "number_too_long",
    }
    for number, code in refused.items():
        body = (
            '{"messages": [{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", '
            f'"arguments": {{"x": {number}}}}}}}]}}]}}'
        )
        answer = annotator.api.post(path, content=body, headers=JSON)
        assert told(answer)[0] == code
