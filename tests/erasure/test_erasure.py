"""An erased conversation is nowhere: not in versions, arrays, chats, revisions, nor in the database's pages."""

import json
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import func
from sqlmodel import col, select

from app.accounts.models import Role
from app.conversations.models import Conversation
from app.core.database import transaction
from app.core.storage import file_sha256
from app.erasure.chats import expire_chats
from app.jobs import service as jobs
from app.jobs.events import EventKind
from app.jobs.models import Job, JobKind, JobState
from app.mask_checks.models import MaskCheck
from app.mask_checks.work import CheckPayload
from app.playground.work import ChatPayload
from app.runs.models import Run
from app.versions.models import DatasetVersion
from tests.support.people import Person, make_person, problem_of, visible_text
from tests.support.training import make_run, make_version

SECRET = "What does plan 3 cost?"


@pytest.fixture
def run_id(app: FastAPI, silent_bell: None) -> int:
    """A finished run on a version with the secret, whose check left arrays."""
    with transaction(app.state.engine) as session:
        run, job = make_run(session, app.state.storage)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        jobs.finish(session, claim, JobState.SUCCEEDED)
        check = session.get_one(MaskCheck, run.mask_check_id)
        done = jobs.require_job(session, check.job_id)
        done.payload = CheckPayload(mask_check_id=check.id or 0).to_json()
        check.arrays_key = f"jobs/{check.job_id}/1/arrays.safetensors"
        session.add_all([done, check])
        run_id, key = run.id, check.arrays_key
    with app.state.storage.write(key) as file:
        file.write(b"arrays with its tokens")
    assert run_id is not None
    return run_id


def secret_id(app: FastAPI) -> int:
    with transaction(app.state.engine) as session:
        rows = session.exec(select(Conversation)).all()
        return next(row.id or 0 for row in rows if row.messages[0]["content"] == SECRET)


def chat(app: FastAPI, person: Person, text: str) -> int:
    """A finished chat of this person."""
    with transaction(app.state.engine) as session:
        payload = ChatPayload(run_id=1, messages=[{"role": "user", "content": text}])
        job = jobs.enqueue(session, JobKind.CHAT, payload, created_by=person.actor.who)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        told = [(EventKind.DELTA, {"side": "tuned", "text": "Twelve."})]
        jobs.finish(session, claim, JobState.SUCCEEDED, events=told)
        assert job.id is not None
        return job.id


def everything_stored(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_erasing_names_every_holder_and_leaves_the_words_nowhere(
    app: FastAPI, run_id: int, reviewer: Person, engineer: Person
) -> None:
    engine, storage = app.state.engine, app.state.storage
    number = secret_id(app)
    chat_id, other_chat = chat(app, engineer, SECRET), chat(app, engineer, "Something else.")
    assert engineer.api.get("/api/v1/versions/1/export?as=messages").status_code == 200
    with transaction(engine) as session:
        old_hash = session.get_one(DatasetVersion, 1).content_hash
        run_hash = session.get_one(Run, run_id).arrays_hash
    path = f"/api/v1/conversations/{number}"
    # A comment keeps the words that it is about.
    assert reviewer.api.post(f"{path}/comments", json={"text": "Hers.", "turn": 0}).status_code == 201
    before = reviewer.api.get(f"{path}/holders").json()
    assert [version["number"] for version in before["versions"]] == [1]
    assert [run["id"] for run in before["runs"]] == [run_id]
    assert (before["is_stored"], before["chat_ids"], before["mask_check_ids"]) == (True, [chat_id], [1])
    assert [one["version"] for one in before["downloads"]] == ["version/1"]
    assert before["downloads"][0]["by"].startswith(engineer.actor.name)
    assert SECRET.encode() in everything_stored(app.state.settings.data_dir)

    told = reviewer.api.post(f"{path}/erase")
    assert (told.status_code, told.json()) == (200, before)
    with transaction(engine) as session:
        version = session.get_one(DatasetVersion, 1)
        assert version.conversation_count == 11
        assert version.coverage["outcome"] == {"won": 11}
        assert [one["old_hash"] for one in version.redactions] == [old_hash]
        assert version.content_hash == file_sha256(storage.path(version.storage_key)) != old_hash
        check = session.get_one(MaskCheck, 1)
        assert (check.report, check.arrays_key, check.passed) == (None, None, None)
        assert jobs.require_job(session, check.job_id).state is JobState.QUEUED
        assert session.get_one(Run, run_id).arrays_hash == run_hash
        assert session.get(Job, chat_id) is None
        assert session.get(Job, other_chat) is not None
    engine.dispose()
    assert SECRET.encode() not in everything_stored(app.state.settings.data_dir)
    assert b"arrays with its tokens" not in everything_stored(storage.root)
    # Whoever reads the run, the version or its export is told, or finds it gone.
    exported = engineer.api.get("/api/v1/versions/1/export?as=messages").text
    assert SECRET not in exported
    assert len(exported.splitlines()) == 11
    assert "erased since" in visible_text(engineer.browser.get(f"/runs/{run_id}").text)
    assert "Redacted" in visible_text(engineer.browser.get("/datasets/1/versions").text)
    (told,) = engineer.api.get("/api/v1/versions/1").json()["redactions"]
    assert told["by"].startswith(reviewer.actor.name)
    assert (told["by_user_id"], told["by_token_id"] is None) == (reviewer.actor.user_id, False)
    assert reviewer.api.post(f"{path}/erase").status_code == 404


def test_what_was_deleted_before_is_still_erased_from_versions(
    app: FastAPI, run_id: int, reviewer: Person
) -> None:
    number = secret_id(app)
    assert reviewer.api.delete(f"/api/v1/conversations/{number}").status_code == 204
    page = visible_text(reviewer.browser.get(f"/conversations/{number}/erase").text)
    assert "“Calls”, version 1" in page
    done = reviewer.browser.post(f"/conversations/{number}/erase")
    assert (done.status_code, "It was taken out of" in visible_text(done.text)) == (200, True)
    assert SECRET.encode() not in everything_stored(app.state.storage.root)


def test_nothing_is_erased_while_a_run_reads_it_or_the_file_is_not_what_was_frozen(
    app: FastAPI, run_id: int, reviewer: Person, annotator: Person
) -> None:
    number = secret_id(app)
    assert annotator.api.post(f"/api/v1/conversations/{number}/erase").status_code == 403
    with transaction(app.state.engine) as session:
        job = jobs.require_job(session, session.get_one(Run, run_id).job_id)
        job.state = JobState.RUNNING
        session.add(job)
    refused = reviewer.api.post(f"/api/v1/conversations/{number}/erase")
    assert (refused.status_code, "Wait for its end or stop it" in problem_of(refused)) == (409, True)
    assert reviewer.browser.post(f"/conversations/{number}/erase").status_code == 409
    with transaction(app.state.engine) as session:
        job = jobs.require_job(session, session.get_one(Run, run_id).job_id)
        job.state = JobState.SUCCEEDED
        session.add(job)
        key = session.get_one(DatasetVersion, 1).storage_key
        assert session.exec(select(func.count(col(Conversation.id)))).one() == 12
    path = app.state.storage.path(key)
    path.write_text(path.read_text() + json.dumps({"id": 999, "split": "train"}) + "\n")
    damaged = reviewer.api.post(f"/api/v1/conversations/{number}/erase")
    assert (damaged.status_code, "damaged" in problem_of(damaged)) == (409, True)


def test_erasing_a_dataset_names_every_holder_and_leaves_none_of_its_words(
    app: FastAPI, run_id: int, engineer: Person, reviewer: Person
) -> None:
    engine, storage = app.state.engine, app.state.storage
    chat_id, other_chat = chat(app, engineer, SECRET), chat(app, engineer, "Something else.")
    # Deleted, but still in the version.
    assert reviewer.api.delete(f"/api/v1/conversations/{secret_id(app)}").status_code == 204
    assert engineer.api.get("/api/v1/versions/1/export?as=messages").status_code == 200
    assert reviewer.api.post("/api/v1/datasets/1/erase").status_code == 403
    before = engineer.api.get("/api/v1/datasets/1/holders").json()
    assert (before["goes"], before["conversations"], before["chat_ids"]) == (False, 11, [chat_id])
    assert [version["number"] for version in before["versions"]] == [1]
    assert ([run["id"] for run in before["runs"]], before["mask_check_ids"]) == ([run_id], [1])
    assert len(before["downloads"]) == 1
    page = visible_text(engineer.browser.get("/datasets/1/erase").text)
    assert "The dataset stays, archived and empty" in page

    told = engineer.api.post("/api/v1/datasets/1/erase")
    assert (told.status_code, told.json()) == (200, before)
    with transaction(engine) as session:
        assert session.exec(select(func.count(col(Conversation.id)))).one() == 0
        assert (session.get(Job, chat_id), session.get(Job, other_chat) is None) == (None, False)
        version = session.get_one(DatasetVersion, 1)
        assert (version.conversation_count, len(version.redactions)) == (0, 1)
    engine.dispose()
    stored = everything_stored(app.state.settings.data_dir)
    assert [text for text in (SECRET, "What does plan 7 cost?") if text.encode() in stored] == []
    assert b"arrays with its tokens" not in everything_stored(storage.root)
    for path in (
        "/datasets/1",
        "/datasets/1/versions",
        f"/runs/{run_id}",
        "/mask-checks/1",
        "/datasets/1/settings",
    ):
        assert engineer.browser.get(path).status_code == 200, path
    assert engineer.api.get("/api/v1/datasets/1").json()["archived_at"] is not None
    # Asked for again, as after a stop half-way, nothing is left to do.
    with transaction(engine) as session:
        for job in session.exec(select(Job)):
            job.state = JobState.SUCCEEDED
            session.add(job)
    again = engineer.browser.post("/datasets/1/erase")
    assert (again.status_code, "The dialogues are gone" in visible_text(again.text)) == (200, True)
    with transaction(engine) as session:
        assert len(session.get_one(DatasetVersion, 1).redactions) == 1


def test_a_dataset_that_nothing_needs_is_deleted_with_its_dialogues(app: FastAPI, engineer: Person) -> None:
    with transaction(app.state.engine) as session:
        make_version(session, app.state.storage)
    assert engineer.api.get("/api/v1/datasets/1/holders").json()["goes"] is True
    done = engineer.browser.post("/datasets/1/erase")
    assert (done.status_code, "The dataset is deleted" in visible_text(done.text)) == (200, True)
    assert engineer.api.get("/api/v1/datasets/1").status_code == 404
    app.state.engine.dispose()
    assert SECRET.encode() not in everything_stored(app.state.settings.data_dir)
    assert engineer.api.post("/api/v1/datasets/1/erase").status_code == 404


def test_chats_are_their_owners_alone_and_end_by_themselves(app: FastAPI, silent_bell: None) -> None:
    owner, other = make_person(app, Role.ANNOTATOR, "owner"), make_person(app, Role.ENGINEER, "other")
    admin = make_person(app, Role.ADMIN)
    number = chat(app, owner, "What would you say?")
    for address in (f"/api/v1/jobs/{number}", f"/api/v1/jobs/{number}/events/list"):
        assert owner.api.get(address).status_code == 200
        assert admin.api.get(address).status_code == 200
        assert other.api.get(address).status_code == 404
    assert other.api.get(f"/api/v1/jobs/{number}/events").status_code == 404
    assert other.api.post(f"/api/v1/jobs/{number}/stop").status_code == 409
    again = chat(app, owner, "And what then?")
    assert other.api.delete(f"/api/v1/playground/answers/{again}").status_code == 404
    assert owner.api.delete(f"/api/v1/playground/answers/{again}").status_code == 204
    assert owner.api.get(f"/api/v1/jobs/{again}").status_code == 404
    with transaction(app.state.engine) as session:
        assert expire_chats(session, days=30) == 0
        assert expire_chats(session, days=0) == 1
    assert owner.api.get(f"/api/v1/jobs/{number}").status_code == 404
