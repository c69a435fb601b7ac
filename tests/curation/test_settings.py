"""Renaming, archiving and deleting datasets: rules, pages, REST, on SQLite and PostgreSQL."""

import json
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from sqlmodel import Session, col, select

from app.accounts.models import AuditEvent, Role
from app.base_models.models import ModelEntry
from app.conversations import bulk_review, drafts, review
from app.conversations import service as conversations
from app.conversations.models import Conversation, ConversationRevision, ReviewState
from app.core.database import transaction
from app.core.errors import Conflict
from app.core.storage import Storage
from app.curation import lines, removal
from app.datasets import service
from app.datasets.models import Dataset
from app.imports.models import DatasetImport
from app.jobs.models import Job, JobKind
from app.mask_checks.models import MaskCheck
from app.mask_settings.fields import MaskSettingsIn
from app.versions.freezing import freeze
from app.versions.models import DatasetVersion
from app.versions.service import list_versions
from tests.conversations.conftest import ANN, BOB, DIALOGUE, MakeConversation
from tests.support.people import Person, make_person, visible_text

CHINESE = {"Accept-Language": "zh-CN"}


def frozen_dataset(session: Session, storage: Storage) -> DatasetVersion:
    dataset = service.create_dataset(session, ANN, name="Calls")
    assert dataset.id is not None
    row = drafts.create_conversation(session, dataset.id, {"messages": DIALOGUE}, ANN)
    assert row.id is not None
    review.review(session, row.id, row.version, BOB, ReviewState.APPROVED)
    return freeze(session, storage, dataset, BOB).version


def check_masks(session: Session, version: DatasetVersion) -> None:
    """A mask check of the version, as far as the database is concerned."""
    assert version.id is not None
    job = Job(kind=JobKind.CHECK_MASKS)
    model = ModelEntry(name="small", source="local", reference="/models/small")
    session.add_all([job, model])
    session.flush()
    assert job.id is not None
    assert model.id is not None
    session.add(
        MaskCheck(
            dataset_version_id=version.id,
            base_model_id=model.id,
            settings=MaskSettingsIn(),
            settings_key="k",
            job_id=job.id,
        )
    )
    session.flush()


def actions(session: Session) -> list[tuple[str, str]]:
    found = session.exec(select(AuditEvent).order_by(col(AuditEvent.id)))
    return [(event.action, event.subject) for event in found if event.action.startswith("dataset.")]


def test_deleting_takes_everything_with_it_and_is_recorded(engine: Engine, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with transaction(engine) as session:
        version = frozen_dataset(session, storage)
        other = service.create_dataset(session, ANN, name="Other")
        drafts.create_conversation(session, other.id or 0, {"messages": DIALOGUE}, ANN)
    with transaction(engine) as session:
        removal.delete_dataset(session, storage, BOB, version.dataset_id)
    assert not storage.path(version.storage_key).exists()
    with transaction(engine) as session:
        assert [found.name for found in session.exec(select(Dataset))] == ["Other"]
        assert len(session.exec(select(Conversation.id)).all()) == 1
        assert len(session.exec(select(ConversationRevision.id)).all()) == 1
        assert session.exec(select(DatasetVersion.id)).all() == []
        assert ("dataset.delete", f"dataset/{version.dataset_id} Calls") in actions(session)


def test_what_a_mask_check_needs_is_not_deleted(engine: Engine, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with transaction(engine) as session:
        version = frozen_dataset(session, storage)
        key = version.storage_key
        check_masks(session, version)
        assert removal.plan_removal(session, version.dataset_id).users == {"mask_check": 1}
        with pytest.raises(Conflict, match=r"mask checks: 1.*Archive the dataset instead"):
            removal.delete_dataset(session, storage, BOB, version.dataset_id)
        assert session.exec(select(Dataset.name)).all() == ["Calls"]
    assert storage.path(key).exists()


def test_an_archived_dataset_takes_no_change_until_it_is_restored(engine: Engine, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with transaction(engine) as session:
        version = frozen_dataset(session, storage)
        number = version.dataset_id
        row = session.exec(select(Conversation)).one()
        assert row.id is not None
        dataset = service.archive_dataset(session, BOB, number)
        service.archive_dataset(session, BOB, number)
        attempts = [
            lambda: drafts.create_conversation(session, number, {"messages": DIALOGUE}, ANN),
            lambda: conversations.set_labels(session, row.id, row.version, ANN, {"stage": "demo"}),
            lambda: review.review(session, row.id, row.version, BOB, ReviewState.DRAFT),
            lambda: bulk_review.review_many(session, number, [row.id], BOB, ReviewState.DRAFT),
            lambda: conversations.restore(session, row.id, row.version, ANN, 1),
            lambda: conversations.delete_conversation(session, row.id, BOB),
            lambda: service.describe_dataset(session, BOB, dataset, name="New"),
            lambda: freeze(session, storage, dataset, BOB),
        ]
        for attempt in attempts:
            with pytest.raises(Conflict, match="“Calls” is archived and read-only"):
                attempt()
        assert lines.list_datasets(session) == []
        assert list_versions(session) == []
        assert [found.id for found in list_versions(session, number)] == [version.id]
        with pytest.raises(Conflict, match="An archived dataset is named"):
            service.create_dataset(session, ANN, name="Calls")
        service.restore_dataset(session, BOB, number)
        attempts[1]()
        assert [found.name for found, _counts in lines.list_datasets(session)] == ["Calls"]
        assert [action for action, _subject in actions(session)] == [
            "dataset.create",
            "dataset.archive",
            "dataset.restore",
        ]


def test_rest_renames_and_describes(annotator: Person, reviewer: Person, dataset_id: int) -> None:
    path = f"/api/v1/datasets/{dataset_id}"
    reviewer.api.post("/api/v1/datasets", json={"name": "Taken"})
    assert annotator.api.patch(path, json={"name": "New"}).status_code == 403
    changed = reviewer.api.patch(path, json={"name": " New "}).json()
    assert (changed["name"], changed["description"]) == ("New", "")
    changed = reviewer.api.patch(path, json={"description": "First calls"}).json()
    assert (changed["name"], changed["description"]) == ("New", "First calls")
    assert reviewer.api.patch(path, json={"name": "New"}).status_code == 200  # its own name is not taken
    assert reviewer.api.patch(path, json={"name": "Taken"}).status_code == 409
    for wrong in ({"name": ""}, {"name": "  "}, {"name": "x" * 81}, {"nme": "x"}):
        assert reviewer.api.patch(path, json=wrong).status_code == 422
    assert reviewer.api.patch("/api/v1/datasets/999", json={"name": "x"}).status_code == 404


def test_rest_deletes_and_archives_for_engineers_only(
    reviewer: Person, engineer: Person, make: MakeConversation, dataset_id: int
) -> None:
    make()
    path = f"/api/v1/datasets/{dataset_id}"
    for person, status in ((reviewer, 403), (engineer, 200)):
        assert person.api.post(f"{path}/archive").status_code == status
    assert engineer.api.get("/api/v1/datasets").json() == []
    assert engineer.api.get("/api/v1/datasets?name=Calls").json()[0]["archived_at"]
    assert len(engineer.api.get("/api/v1/datasets?archived=true").json()) == 1
    refused = engineer.api.post(f"{path}/conversations", json={"messages": DIALOGUE})
    assert refused.status_code == 409
    assert reviewer.api.post(f"{path}/restore").status_code == 403
    assert engineer.api.post(f"{path}/restore").json()["archived_at"] is None
    assert reviewer.api.delete(path).status_code == 403
    assert engineer.api.delete(path).status_code == 204
    assert engineer.api.delete(path).status_code == 404
    assert engineer.api.get(path).status_code == 404


def test_the_page_says_what_goes_and_what_stands_in_the_way(
    app: FastAPI, engineer: Person, make: MakeConversation, dataset_id: int
) -> None:
    number = make()
    file = {"file": ("calls.jsonl", json.dumps({"messages": DIALOGUE[:2]}).encode())}
    engineer.browser.post(f"/datasets/{dataset_id}/import", files=file)
    engineer.browser.post(f"/datasets/{dataset_id}/review", data={"ids": [number], "state": "approved"})
    engineer.browser.post(f"/datasets/{dataset_id}/versions")
    path = f"/datasets/{dataset_id}/settings"
    text = visible_text(engineer.browser.get(path).text)
    assert (
        "This goes for good: 2 conversations with their histories, 1 frozen version, 1 import report." in text
    )
    assert "2 段对话及其修改记录、1 个冻结版本、1 份导入报告" in visible_text(
        engineer.browser.get(path, headers=CHINESE).text
    )
    with transaction(app.state.engine) as session:
        check_masks(session, session.exec(select(DatasetVersion)).one())
    text = visible_text(engineer.browser.get(path).text)
    assert "It cannot be deleted: its versions are needed by others (mask checks: 1)" in text
    assert "/delete" not in engineer.browser.get(path).text
    refused = engineer.browser.post(f"/datasets/{dataset_id}/delete")
    assert refused.status_code == 409
    assert "a run must stay repeatable. Archive the dataset instead" in visible_text(refused.text)
    assert "Calls" in visible_text(engineer.browser.get("/datasets").text)


def test_a_dataset_is_renamed_and_deleted_by_page(engineer: Person, dataset_id: int) -> None:
    path = f"/datasets/{dataset_id}"
    engineer.browser.post("/datasets", data={"name": "Taken"})
    wrong = engineer.browser.post(f"{path}/settings", data={"name": "Taken", "description": "kept <b>"})
    assert wrong.status_code == 409
    assert "already a dataset named “Taken”" in visible_text(wrong.text)
    assert "kept &lt;b&gt;" in wrong.text
    long = engineer.browser.post(f"{path}/settings", data={"name": "Calls", "description": "x" * 2001})
    assert "longer than 2,000 characters" in visible_text(long.text)
    done = engineer.browser.post(f"{path}/settings", data={"name": "Renamed", "description": "Why"})
    assert (done.status_code, done.headers["location"]) == (303, path)
    assert "Renamed" in visible_text(engineer.browser.get(path).text)
    assert engineer.browser.post(f"{path}/delete").headers["location"] == "/datasets"
    assert engineer.browser.get(path).status_code == 404


def test_an_archived_dataset_is_shown_and_offers_nothing_to_change(
    app: FastAPI, reviewer: Person, engineer: Person, make: MakeConversation, dataset_id: int
) -> None:
    number = make()
    path = f"/datasets/{dataset_id}"
    assert engineer.browser.post(f"{path}/archive").status_code == 303
    assert "Calls" not in visible_text(engineer.browser.get("/datasets").text)
    assert "Calls" in visible_text(engineer.browser.get("/datasets?archived=true").text)
    page = engineer.browser.get(path).text
    assert "This dataset was archived on" in visible_text(page)
    for offer in (f"{path}/import", "data-bulk-bar", "Freeze version", "Add conversation"):
        assert offer not in page.replace(f"{path}/imports", "")
    conversation = engineer.browser.get(f"/conversations/{number}").text
    assert "can only be read" in visible_text(conversation)
    assert conversation.count('<fieldset class="gate" disabled>') == len(DIALOGUE) + 1
    assert conversation.count(" readonly") >= len(DIALOGUE)
    assert "Approve" not in visible_text(conversation)
    assert engineer.browser.get(f"{path}/import").status_code == 409
    for tab in ("versions", "imports", "settings"):
        assert "Archived" in visible_text(engineer.browser.get(f"{path}/{tab}").text)
        assert "已归档" in visible_text(engineer.browser.get(f"{path}/{tab}", headers=CHINESE).text)
    assert reviewer.browser.post(f"{path}/restore").status_code == 403
    annotator = make_person(app, Role.ANNOTATOR)
    assert annotator.browser.get(f"{path}/settings").status_code == 403
    assert engineer.browser.post(f"{path}/restore").status_code == 303
    assert "Calls" in visible_text(engineer.browser.get("/datasets").text)


def test_import_reports_go_with_their_dataset(engine: Engine, tmp_path: Path) -> None:
    with transaction(engine) as session:
        dataset = service.create_dataset(session, ANN, name="Calls")
        session.add(DatasetImport(dataset_id=dataset.id or 0, filename="a", format="auto"))
        session.flush()
        assert removal.plan_removal(session, dataset.id or 0).imports == 1
        removal.delete_dataset(session, Storage(tmp_path), BOB, dataset.id or 0)
    with transaction(engine) as session:
        assert session.exec(select(DatasetImport)).all() == []
