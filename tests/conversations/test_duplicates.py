"""A dataset has each dialogue once, by its words: in one file, over files, by REST and by editing alike."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import select

from app.accounts.who import Who
from app.conversations.drafts import build_conversation
from app.conversations.models import Conversation
from app.core.database import transaction
from app.dialogue.reading import read_conversation
from tests.conversations.conftest import DIALOGUE
from tests.support.people import Person

FLAGGED = [{**message, "train": False} for message in DIALOGUE]
OTHER = [*DIALOGUE[:3], {"role": "assistant", "content": "Then 300 a month."}]
HTMX = {"HX-Request": "true"}


def imported(person: Person, dataset_id: int, *dialogues: list[dict[str, Any]]) -> tuple[int, int]:
    """How many came in and how many were duplicates."""
    lines = "\n".join(json.dumps({"messages": messages}) for messages in dialogues)
    answer = person.api.post(
        f"/api/v1/datasets/{dataset_id}/imports", files={"file": ("a.jsonl", lines.encode())}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["accepted"], answer.json()["duplicates"]


def test_the_same_words_with_other_flags_are_a_duplicate_in_one_file_and_over_files(
    annotator: Person, dataset_id: int
) -> None:
    assert imported(annotator, dataset_id, DIALOGUE, FLAGGED) == (1, 1)
    assert imported(annotator, dataset_id, FLAGGED, OTHER) == (1, 1)
    assert imported(annotator, dataset_id, DIALOGUE, OTHER) == (0, 2)


def test_line_ends_and_blank_fields_make_no_other_words(annotator: Person, dataset_id: int) -> None:
    lines = [{"role": "user", "content": "a\nb"}, {"role": "assistant", "content": "c"}]
    windows = [{"role": "user", "content": "a\r\nb", "name": None}, {**lines[1], "tool_calls": []}]
    assert imported(annotator, dataset_id, lines, windows) == (1, 1)


@pytest.mark.parametrize("messages", [DIALOGUE, FLAGGED])
def test_rest_refuses_it_and_names_the_one_that_is_there(
    annotator: Person, dataset_id: int, make: Any, messages: list[dict[str, Any]]
) -> None:
    number = make()
    answer = annotator.api.post(
        f"/api/v1/datasets/{dataset_id}/conversations", json={"messages": messages, "stage": "demo"}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "duplicate")
    assert f"conversation {number}" in answer.json()["detail"]
    other = annotator.api.post("/api/v1/datasets", json={"name": "Other"}).json()["id"]
    path = f"/api/v1/datasets/{other}/conversations"
    assert annotator.api.post(path, json={"messages": messages}).status_code == 201


def test_editing_into_another_is_refused_at_rest_and_on_the_page_and_nothing_changes(
    annotator: Person, dataset_id: int, make: Any
) -> None:
    first, second = make(), make(messages=OTHER)
    edit = {"version": 1, "messages": FLAGGED}
    answer = annotator.api.patch(f"/api/v1/conversations/{second}", json=edit)
    assert (answer.status_code, answer.json()["code"]) == (409, "duplicate")
    typed = {"version": 1, "content": DIALOGUE[3]["content"]}
    page = annotator.browser.post(f"/conversations/{second}/turns/3", data=typed, headers=HTMX)
    assert (page.status_code, page.json()["code"]) == (409, "duplicate")
    plain = annotator.browser.post(f"/conversations/{second}/turns/3", data=typed)
    assert (plain.status_code, f"conversation {first}" in plain.text) == (409, True)
    assert "Not saved" in plain.text
    stored = annotator.api.get(f"/api/v1/conversations/{second}").json()
    assert (stored["version"], stored["messages"]) == (1, OTHER)


def test_going_back_to_words_that_another_has_now_is_refused(
    annotator: Person, dataset_id: int, make: Any
) -> None:
    number = make()
    annotator.api.patch(f"/api/v1/conversations/{number}", json={"version": 1, "messages": OTHER})
    make(messages=DIALOGUE)
    wanted = {"version": 2, "wanted": 1}
    answer = annotator.api.post(f"/api/v1/conversations/{number}/restore", json=wanted)
    assert (answer.status_code, answer.json()["code"]) == (409, "duplicate")


def test_new_conversations_without_words_are_nobodys_duplicates(annotator: Person, dataset_id: int) -> None:
    for _ in range(2):
        said = {"messages": [{"role": "user", "content": ""}]}
        assert (
            annotator.api.post(f"/api/v1/datasets/{dataset_id}/conversations", json=said).status_code == 201
        )
    assert annotator.api.get(f"/api/v1/datasets/{dataset_id}/conversations").json()["total"] == 2


def test_duplicates_from_before_the_rule_keep_their_flags_and_labels_editable(
    app: FastAPI, annotator: Person, dataset_id: int
) -> None:
    with transaction(app.state.engine) as session:
        for _ in range(2):
            dialogue = read_conversation({"messages": DIALOGUE})
            session.add(build_conversation(dataset_id, dialogue, author=Who("Ann")))
        session.flush()
        number = session.exec(select(Conversation.id)).all()[-1]
    path = f"/api/v1/conversations/{number}"
    edit = {"version": 1, "messages": FLAGGED, "labels": {"stage": "demo"}}
    assert annotator.api.patch(path, json=edit).status_code == 200
    same = {"version": 3, "messages": DIALOGUE}
    assert annotator.api.patch(path, json=same).status_code == 200
