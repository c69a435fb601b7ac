"""What came in otherwise than it stood in the file is kept with the import and told by line, everywhere."""

import io
import json
import re
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from sqlmodel import Session, select

from app.accounts.models import AuditEvent
from app.core.database import transaction
from app.core.errors import Conflict
from app.datasets import service
from app.datasets.models import Dataset
from app.imports import sending
from app.imports import service as imports
from app.imports.incoming import IncomingFile
from app.imports.models import DatasetImport
from tests.conversations.conftest import ANN, DIALOGUE
from tests.support.people import Person, problem_of, visible_text

UNCLEAR = {"messages": DIALOGUE, "outcome": "maybe", "language": "Klingon", "customer_id": 7}


def lines(*records: object) -> bytes:
    return "\n".join(json.dumps(record) for record in records).encode()


def dialogue(text: str, **labels: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}, *DIALOGUE[1:]], **labels}


def bring(
    session: Session,
    body: bytes,
    name: str = "Calls",
    filename: str = "calls.jsonl",
    *,
    skip_bad: bool = False,
) -> DatasetImport:
    with IncomingFile(io.BytesIO(body), filename=filename, skip_bad=skip_bad) as file:
        return imports.import_by_name(session, name, ANN, file)


def test_every_note_names_its_line_and_is_stored(engine: Engine) -> None:
    with transaction(engine) as session:
        found = bring(session, lines(dialogue("a"), UNCLEAR))
    with transaction(engine) as session:
        stored = imports.require_import(session, found.id or 0)
        assert (stored.accepted, stored.problem_count, stored.note_count) == (2, 0, 3)
        assert {(note["line"], note["code"]) for note in stored.notes} == {
            (2, "outcome_unknown"),
            (2, "language_unknown"),
            (2, "fields_not_kept"),
        }


def test_all_notes_are_counted_and_the_first_are_kept(engine: Engine) -> None:
    with transaction(engine) as session:
        found = bring(session, lines(*[dialogue(str(n), outcome="?") for n in range(250)]))
        assert (found.note_count, len(found.notes), found.notes[-1]["line"]) == (250, 200, 200)


def test_what_did_not_come_in_leaves_no_notes(engine: Engine) -> None:
    with transaction(engine) as session:
        bring(session, lines(UNCLEAR))
        again = bring(session, lines(UNCLEAR, UNCLEAR))
        assert (again.accepted, again.duplicates, again.note_count) == (0, 2, 0)
        refused = bring(session, lines(dialogue("b", outcome="?"), {"messages": []}))
        assert (refused.accepted, refused.problem_count, refused.note_count) == (0, 1, 0)


def test_notes_are_shown_by_page_and_rest_in_the_readers_language(annotator: Person, dataset_id: int) -> None:
    file = {"file": ("calls.jsonl", lines(dialogue("a"), UNCLEAR))}
    answer = annotator.api.post(f"/api/v1/datasets/{dataset_id}/imports", files=file).json()
    assert answer["note_count"] == 3
    assert any("Line 2: the outcome “maybe” is unknown" in note["message"] for note in answer["notes"])
    path = f"/datasets/{dataset_id}/imports/{answer['id']}"
    page = annotator.browser.get(path).text
    text = visible_text(page)
    assert "Notes 3" in text
    rows = [visible_text(row) for row in re.findall(r"<tr>.*?</tr>", page) if "Line 2" in row]
    assert [row.count("2") for row in rows] == [1, 1, 1]
    assert "Line 2: these fields were not kept: customer_id." in text
    chinese = annotator.browser.get(path, headers={"Accept-Language": "zh-CN"}).text
    assert "第 2 行" in visible_text(chinese)
    again = annotator.api.get(f"/api/v1/imports/{answer['id']}").json()
    assert again == answer
    assert annotator.api.get(f"/api/v1/datasets/{dataset_id}/imports").json() == [answer]

    # Of a file that was kept out for one line nothing is said to have come in.
    form = {"csrf_token": annotator.csrf_token}
    half = {"file": ("half.jsonl", (lines(dialogue("c")).decode() + "\nnonsense").encode("utf-16"))}
    refused = annotator.browser.post(
        f"/datasets/{dataset_id}/import", data=form, files=half, headers={"HX-Request": "true"}
    )
    said = visible_text(refused.text)
    assert "Notes 1" in said
    assert "came in" not in said.replace("Nothing came in", "").lower()


@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_file_that_brings_nothing_makes_no_dataset(engine: Engine, skip_bad: bool) -> None:
    with transaction(engine) as session:
        found = bring(session, b'{"messages": []}\nnonsense', "New", skip_bad=skip_bad)
        assert (found.id, found.accepted, found.problem_count) == (None, 0, 2)
    with transaction(engine) as session:
        assert session.exec(select(Dataset)).all() == []
        assert session.exec(select(DatasetImport)).all() == []
        assert session.exec(select(AuditEvent)).all() == []


def test_importing_by_name_over_rest_is_one_transaction(annotator: Person) -> None:
    def send(body: bytes, **form: str) -> tuple[int, dict[str, object]]:
        answer = annotator.api.post(
            "/api/v1/imports", data={"dataset": "New", **form}, files={"file": ("a.jsonl", body)}
        )
        return answer.status_code, answer.json()

    status, refused = send(lines(dialogue("a")) + b"\n{")
    assert (status, refused["id"], refused["dataset_id"], refused["problem_count"]) == (422, None, None, 1)
    assert annotator.api.get("/api/v1/datasets").json() == []
    status, _all_bad = send(b"{", skip_bad="true")
    assert status == 422
    assert annotator.api.get("/api/v1/datasets").json() == []
    status, taken = send(lines(dialogue("a")) + b"\n{", skip_bad="true")
    assert (status, taken["accepted"], taken["problem_count"]) == (201, 1, 1)
    status, more = send(lines(dialogue("b")))
    assert (status, more["dataset_id"]) == (201, taken["dataset_id"])
    status, bad = send(b"{")
    assert (status, bad["dataset_id"]) == (422, taken["dataset_id"])
    assert len(annotator.api.get("/api/v1/datasets").json()) == 1


@pytest.mark.parametrize("name", ["", "   ", "x" * 81])
def test_importing_by_a_bad_name_is_refused(annotator: Person, name: str) -> None:
    answer = annotator.api.post(
        "/api/v1/imports", data={"dataset": name}, files={"file": ("a.jsonl", lines(dialogue("a")))}
    )
    assert answer.status_code == 422
    assert problem_of(answer)


def test_nothing_comes_into_an_archived_dataset(engine: Engine) -> None:
    with transaction(engine) as session:
        dataset = service.create_dataset(session, ANN, name="Calls")
        service.archive_dataset(session, ANN, dataset.id or 0)
        with pytest.raises(Conflict, match="archived and read-only"):
            bring(session, lines(dialogue("a")))


@pytest.mark.parametrize("door", ["page", "rest", "by name"])
def test_others_write_while_a_file_is_read(
    app: FastAPI, annotator: Person, dataset_id: int, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    """SQLite has one writer at a time, and workers must go on renewing their leases."""

    class Slow(IncomingFile):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            with transaction(app.state.engine) as session:
                service.create_dataset(session, ANN, name="made meanwhile")
            super().__init__(*arguments, **options)

    monkeypatch.setattr(sending, "IncomingFile", Slow)
    file = {"file": ("calls.jsonl", lines(dialogue("a")))}
    answer = {
        "page": lambda: annotator.browser.post(f"/datasets/{dataset_id}/import", files=file),
        "rest": lambda: annotator.api.post(f"/api/v1/datasets/{dataset_id}/imports", files=file),
        "by name": lambda: annotator.api.post("/api/v1/imports", data={"dataset": "New"}, files=file),
    }[door]()
    assert answer.status_code in (201, 303)
    names = {item["name"] for item in annotator.api.get("/api/v1/datasets").json()}
    assert "made meanwhile" in names
