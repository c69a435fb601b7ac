"""A corrected record is recognised beside its old one, and the person says what becomes of it, at every door."""

import io
import json
from typing import Any

import pytest
from fastapi import FastAPI
from sqlmodel import Session, select

from app.conversations.models import Conversation, ConversationRevision
from tests.support.people import Person, visible_text


def record(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def lines(*records: tuple[str, str]) -> bytes:
    return "\n".join(json.dumps(record(*one)) for one in records).encode()


OLD = lines(("How much?", "Fifty."), ("Open?", "Until six."))
NEW = lines(("How much?", "Sixty."), ("Open?", "Until six."), ("Where?", "Here."))


def answers(app: FastAPI) -> list[str]:
    with Session(app.state.engine) as session:
        found = session.exec(select(Conversation).order_by(Conversation.id)).all()  # type: ignore[arg-type]
        return [one.messages[1]["content"] for one in found]


def bring(person: Person, dataset_id: int, body: bytes, **data: str) -> Any:
    files = {"file": ("calls.jsonl", body)}
    return person.api.post(f"/api/v1/datasets/{dataset_id}/imports", files=files, data=data)


@pytest.mark.parametrize(
    ("choice", "accepted", "replaced", "after"),
    [
        ("keep", 2, 0, ["Fifty.", "Until six.", "Sixty.", "Here."]),
        ("replace", 1, 1, ["Sixty.", "Until six.", "Here."]),
        ("skip", 1, 0, ["Fifty.", "Until six.", "Here."]),
    ],
)
def test_the_choice_decides_and_the_report_names_line_and_conversation(
    app: FastAPI,
    annotator: Person,
    dataset_id: int,
    choice: str,
    accepted: int,
    replaced: int,
    after: list[str],
) -> None:
    assert bring(annotator, dataset_id, OLD).json()["same_questions"] == 0
    report = bring(annotator, dataset_id, NEW, same_questions=choice).json()
    assert (report["accepted"], report["duplicates"], report["same_questions"]) == (accepted, 1, 1)
    assert report["replaced"] == replaced
    assert [(note["line"], note["code"]) for note in report["notes"]] == [(1, "same_questions")]
    assert answers(app) == after
    with Session(app.state.engine) as session:
        kept = session.exec(select(ConversationRevision)).all()
        assert [one.snapshot["messages"][1]["content"] for one in kept] == (
            ["Fifty.", "Sixty."] if replaced else []
        )
    stored = annotator.api.get(f"/api/v1/imports/{report['id']}").json()
    assert stored == report


def test_a_page_asks_before_anything_comes_in(app: FastAPI, annotator: Person, dataset_id: int) -> None:
    bring(annotator, dataset_id, OLD)
    assert bring(annotator, dataset_id, NEW, same_questions="ask").status_code == 422

    def send(**data: str) -> Any:
        return annotator.browser.post(
            f"/datasets/{dataset_id}/import",
            data={"csrf_token": annotator.csrf_token, **data},
            files={"file": ("calls.jsonl", io.BytesIO(NEW))},
            headers={"HX-Request": "true"},
        )

    asked = send()
    assert asked.status_code == 422
    assert "asks the same as one that is there" in visible_text(asked.text)
    assert 'value="replace"' in asked.text
    assert answers(app) == ["Fifty.", "Until six."]
    done = send(same_questions="replace")
    assert answers(app) == ["Sixty.", "Until six.", "Here."]
    report = visible_text(annotator.browser.get(done.headers["HX-Redirect"]).text)
    assert "1 old answer was replaced" in report
    assert "3 drafts of the dataset are left" in report


def test_a_report_says_what_became_of_corrections_beside_bad_lines(
    app: FastAPI, annotator: Person, dataset_id: int
) -> None:
    bring(annotator, dataset_id, OLD)

    def told(**data: str) -> str:
        answer = annotator.browser.post(
            f"/datasets/{dataset_id}/import",
            data={"csrf_token": annotator.csrf_token, "skip_bad": "true", **data},
            files={"file": ("calls.jsonl", io.BytesIO(lines(("How much?", "Sixty.")) + b"\n{}\n{"))},
            headers={"HX-Request": "true"},
        )
        href = answer.headers.get("HX-Redirect")
        return visible_text(annotator.browser.get(href).text if href else answer.text)

    assert "asks the same as one that is there" in told()
    assert "whole file was left out" not in told(same_questions="replace")
    assert answers(app) == ["Sixty.", "Until six."]
    bring(annotator, dataset_id, lines(("How much?", "Seventy.")), same_questions="skip")
    newest = annotator.api.get(f"/api/v1/datasets/{dataset_id}/imports").json()[0]["id"]
    report = visible_text(annotator.browser.get(f"/datasets/{dataset_id}/imports/{newest}").text)
    assert "other answers to questions that the dataset has" in report


def test_a_post_of_a_corrected_record_names_the_old_one_and_may_replace_it(
    app: FastAPI, annotator: Person, dataset_id: int
) -> None:
    path = f"/api/v1/datasets/{dataset_id}/conversations"
    first = annotator.api.post(path, json=record("How much?", "Fifty.")).json()
    assert first["same_questions_as"] is None
    refused = annotator.api.post(f"{path}?same_questions=refuse", json=record("How much?", "Sixty."))
    assert refused.status_code == 409
    corrected = annotator.api.post(
        f"{path}?same_questions=replace", json=record("How much?", "Sixty.")
    ).json()
    assert (corrected["id"], corrected["version"], corrected["same_questions_as"]) == (
        first["id"],
        2,
        first["id"],
    )
    second = annotator.api.post(path, json=record("How much?", "Seventy.")).json()
    assert second["same_questions_as"] == first["id"]
    assert answers(app) == ["Sixty.", "Seventy."]
