"""A large file is imported by a job: all of it or nothing, whoever dies, and its page tells how far it is."""

import io
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlmodel import Session, select

from app.conversations.models import Conversation
from app.core.database import reading, transaction
from app.core.storage import Storage
from app.curation.sweeping import sweep
from app.datasets import operations
from app.datasets.models import Dataset, OperationKind
from app.imports import sending, staging
from app.imports.background import Background, unfinished_uploads
from app.imports.handler import remove_all_read_files
from app.imports.incoming import IncomingFile
from app.jobs.events import Phase
from app.jobs.handlers import HandedBack, Stopped
from app.jobs.models import Job, JobKind, JobState
from tests.conversations.conftest import ANN
from tests.imports.test_staging import NOW, body, stored
from tests.support.patience import HANGING_SECONDS
from tests.support.people import Person, visible_text
from tests.support.workers import wait_until
from worker.parent.handlers import HANDLERS
from worker.parent.supervisor import Supervisor

pytestmark = pytest.mark.usefixtures("silent_bell", "nothing_is_small")
COUNT = 700


@pytest.fixture
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is left to a worker."""
    monkeypatch.setattr(sending, "QUICK_BYTES", 0)


def lines(*answers: str) -> bytes:
    said = (
        [{"role": "user", "content": "How much?"}, {"role": "assistant", "content": one}] for one in answers
    )
    return b"\n".join(json.dumps({"messages": messages}).encode() for messages in said)


def send(person: Person, dataset_id: int, content: bytes, **data: str) -> str:
    """The page of the import."""
    answer = person.browser.post(
        f"/datasets/{dataset_id}/import",
        data={"csrf_token": person.csrf_token, **data},
        files={"file": ("calls.jsonl", io.BytesIO(content))},
        headers={"HX-Request": "true"},
    )
    assert answer.status_code == 204, answer.text
    return answer.headers["HX-Redirect"]


def post(person: Person, content: bytes, **data: str) -> httpx.Response:
    files = {"file": ("calls.jsonl", io.BytesIO(content))}
    return person.api.post("/api/v1/imports", data={"dataset": "New", **data}, files=files)


def newest_job(app: FastAPI) -> Job:
    with reading(app.state.engine) as session:
        return session.exec(select(Job).where(Job.kind == JobKind.IMPORT).order_by(Job.id.desc())).first()  # type: ignore[union-attr,return-value]


def work(app: FastAPI) -> JobState:
    """What a worker does with the newest job; earlier ones were done by hand and wait no more."""
    newest = newest_job(app)
    with transaction(app.state.engine) as session:
        for job in session.exec(select(Job).where(Job.id != newest.id)):
            job.state = JobState.CANCELLED
    supervisor = Supervisor(app.state.settings, app.state.engine, app.state.storage, HANDLERS)
    assert supervisor.run_next([JobKind.IMPORT])
    return newest_job(app).state


@dataclass
class Watching:
    """How the work in the worker's own process is held: `act` is called between pieces, and may raise."""

    act: Callable[[int], None] = lambda _done: None
    phases: list[Phase] = field(default_factory=list)

    def phase(self, phase: Phase) -> None:
        self.phases.append(phase)

    def at(self, done: int, total: int) -> None:
        self.act(done)

    def keep(self) -> None:
        pass


def attempt(app: FastAPI, going: Watching, content: bytes, tmp_path: Path) -> Any:
    """What the worker's parent does once its child has read the file."""
    spool = tmp_path / "spool.jsonl"
    job = newest_job(app)
    with (
        IncomingFile(io.BytesIO(content), filename="calls.jsonl", spool=spool) as file,
        Session(app.state.engine, expire_on_commit=False) as session,
    ):
        return Background(session, job, file, going).carry_out()


def end(app: FastAPI, state: JobState) -> None:
    with transaction(app.state.engine) as session:
        job = session.get_one(Job, newest_job(app).id)
        job.state, job.finished_at = state, job.created_at
        session.add(job)


def seen(app: FastAPI) -> int:
    with reading(app.state.engine) as session:
        return len(session.exec(select(Conversation.id)).all())


def raise_at(error: type[BaseException]) -> Callable[[int], None]:
    def act(done: int) -> None:
        if done:
            raise error

    return act


def test_a_page_leads_to_the_import_under_way_and_then_to_its_report(
    app: FastAPI, annotator: Person, dataset_id: int
) -> None:
    page = send(annotator, dataset_id, body(COUNT))
    assert "waits for a worker" in visible_text(annotator.browser.get(page).text)
    assert "Queued" in visible_text(annotator.browser.get(f"/datasets/{dataset_id}/imports").text)
    told = annotator.api.get(f"/api/v1/imports/{page.rpartition('/')[2]}").json()
    assert (told["job"]["state"], told["accepted"]) == ("queued", 0)
    poll = annotator.browser.get(page, headers={"HX-Request": "true"})
    assert 'hx-trigger="every 1s"' in poll.text
    assert work(app) is JobState.SUCCEEDED
    assert annotator.browser.get(page, headers={"HX-Request": "true"}).headers["HX-Redirect"] == page
    report = visible_text(annotator.browser.get(page).text)
    assert f"{COUNT} drafts of the dataset are left" in report
    assert seen(app) == COUNT
    events = annotator.api.get(f"/api/v1/jobs/{told['job']['id']}/events/list").json()["events"]
    assert [one["phase"] for one in events if one["kind"] == "phase"] == ["reading", "storing"]
    left = [path for path in app.state.storage.root.rglob("*") if path.is_file()]
    assert {path.name for path in left} <= {"job.json", "log.txt"}


def test_rest_waits_or_names_the_job_and_no_dataset_is_made_of_a_file_that_brings_nothing(
    app: FastAPI, annotator: Person
) -> None:
    promised = post(annotator, body(3) + b"{}\n", wait="false")
    assert (promised.status_code, promised.json()["id"], promised.json()["dataset_id"]) == (202, None, None)
    job = promised.json()["job"]["id"]
    assert work(app) is JobState.SUCCEEDED
    told = annotator.api.get(f"/api/v1/imports/jobs/{job}").json()
    assert (told["id"], told["problem_count"], told["problems"][0]["line"]) == (None, 1, 4)
    assert annotator.api.get("/api/v1/datasets").json() == []

    answers: list[httpx.Response] = []
    asking = threading.Thread(
        target=lambda: answers.append(post(annotator, body(3) + b"{}\n", skip_bad="true"))
    )
    asking.start()
    wait_until(lambda: newest_job(app).id != job, timeout_seconds=HANGING_SECONDS, what="another job")
    assert work(app) is JobState.SUCCEEDED
    asking.join(120)
    assert (answers[0].status_code, answers[0].json()["accepted"]) == (201, 3)
    assert (
        annotator.api.get(f"/api/v1/imports/{answers[0].json()['id']}").json()["job"]["state"] == "succeeded"
    )
    assert [found["name"] for found in annotator.api.get("/api/v1/datasets").json()] == ["New"]
    assert annotator.api.get("/api/v1/imports/jobs/999").status_code == 404


def test_what_a_dead_worker_staged_is_left_to_the_next_attempt_which_begins_again(
    app: FastAPI, annotator: Person, tmp_path: Path
) -> None:
    post(annotator, body(COUNT), wait="false")
    with pytest.raises(HandedBack):
        attempt(app, Watching(raise_at(HandedBack)), body(COUNT), tmp_path)
    assert (0 < stored(app.state.engine) < COUNT, seen(app)) == (True, 0)
    assert sweep(app.state.engine, older_than=NOW) == 0
    found = attempt(app, Watching(), body(COUNT), tmp_path)
    assert (found.accepted, found.duplicates, seen(app), stored(app.state.engine)) == (COUNT, 0, COUNT, COUNT)
    again = attempt(app, Watching(), body(COUNT), tmp_path)  # it died before it could say that all is done
    assert (again.id, again.accepted, seen(app)) == (found.id, COUNT, COUNT)


@pytest.mark.parametrize("how", ["stopped", "job ended"])
def test_an_import_that_was_ended_leaves_nothing(
    app: FastAPI, annotator: Person, tmp_path: Path, how: str
) -> None:
    post(annotator, body(COUNT), wait="false")
    error = Stopped if how == "stopped" else HandedBack
    with pytest.raises(error):
        attempt(app, Watching(raise_at(error)), body(COUNT), tmp_path)
    if how == "job ended":
        left = app.state.storage.folder(f"jobs/{newest_job(app).id}/1") / "conversations.jsonl"
        left.write_bytes(b"{}")
        end(app, JobState.FAILED)
        assert sweep(app.state.engine, older_than=NOW) == 1
        remove_all_read_files(app.state.engine, app.state.storage)
        assert not left.exists()
    assert stored(app.state.engine) == 0
    with app.state.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM dataset")).scalar_one() == 0


def test_an_import_waits_while_others_change_the_dataset_as_a_whole(
    app: FastAPI, annotator: Person, dataset_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.imports.background._WAIT_SECONDS", 0)
    send(annotator, dataset_id, body(3))
    with transaction(app.state.engine) as session:
        other = operations.begin(session, dataset_id, OperationKind.REVIEW, ANN, total=1)
    seen_at: list[int] = []

    def act(done: int) -> None:
        seen_at.append(done)
        if len(seen_at) == 2:
            with transaction(app.state.engine) as session:
                other.forget(session)

    going = Watching(act)
    attempt(app, going, body(3), tmp_path)
    assert going.phases == [Phase.STORING, Phase.WAITING, Phase.STORING]
    assert seen(app) == 3


def test_a_question_is_answered_on_the_page_and_the_kept_file_comes_in(
    app: FastAPI, annotator: Person, reviewer: Person, dataset_id: int, tmp_path: Path
) -> None:
    send(annotator, dataset_id, lines("Fifty."))
    attempt(app, Watching(), lines("Fifty."), tmp_path)
    page = send(annotator, dataset_id, lines("Sixty."))
    assert work(app) is JobState.SUCCEEDED
    asked = annotator.browser.get(page).text
    assert "asks the same as one that is there" in visible_text(asked)
    assert re.search(r'form="again-form" name="same_questions" value="replace"', asked)
    assert 'id="again-form"' not in reviewer.browser.get(page).text
    answer = annotator.browser.post(
        f"{page}/again", data={"csrf_token": annotator.csrf_token, "same_questions": "replace"}
    )
    assert answer.status_code == 303
    found = attempt(app, Watching(), lines("Sixty."), tmp_path)
    assert (found.accepted, found.replaced) == (0, 1)
    assert (
        annotator.browser.post(f"{page}/again", data={"csrf_token": annotator.csrf_token}).status_code == 303
    )
    app.state.storage.remove(f"{staging.FOLDER}/{newest_job(app).payload['upload']}.data")
    assert work(app) is JobState.FAILED
    failed = annotator.browser.get(f"/datasets/{dataset_id}/imports").text
    assert "Failed" in visible_text(failed)


def test_who_began_an_import_may_cancel_it_and_take_that_back(
    app: FastAPI, annotator: Person, reviewer: Person, dataset_id: int
) -> None:
    page = send(annotator, dataset_id, body(3))
    job = newest_job(app).id
    assert reviewer.api.post(f"/api/v1/imports/jobs/{job}/cancel").status_code == 403
    annotator.browser.post(f"{page}/cancel", data={"csrf_token": annotator.csrf_token})
    text_of = visible_text(annotator.browser.get(page).text)
    assert "The import was cancelled" in text_of
    assert "Import it after all" in text_of
    assert annotator.api.post(f"/api/v1/imports/jobs/{job}/cancel").status_code == 409
    assert stored(app.state.engine) == 0


def test_a_small_file_that_holds_much_is_left_to_a_worker_whatever_else_is_wrong_with_it(
    app: FastAPI, annotator: Person, dataset_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "QUICK_BYTES", 10_000_000)
    monkeypatch.setattr(sending, "_QUICK_CONVERSATIONS", 2)
    send(annotator, dataset_id, body(1) + b"{}\n" * 300 + body(3), skip_bad="true")
    assert newest_job(app).state is JobState.QUEUED
    with reading(app.state.engine) as session:
        assert unfinished_uploads(session) == {newest_job(app).payload["upload"]}
        assert session.exec(select(Dataset)).one().id == dataset_id


def test_a_file_that_a_job_waits_for_is_never_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(tmp_path)
    kept = staging.stage(storage, io.BytesIO(b"x"), ANN, dataset_id=1, filename="a", encoding="auto").token
    monkeypatch.setattr(staging, "_KEPT_SECONDS", -10)
    staging.sweep(storage, {kept})
    assert staging.is_kept(storage, kept)
    staging.sweep(storage)
    assert not staging.is_kept(storage, kept)


def test_nobody_unknown_fills_the_disk(app: FastAPI, annotator: Person) -> None:
    from fastapi.testclient import TestClient

    large = {"content-type": "multipart/form-data; boundary=x", "content-length": str(2**28)}
    stranger = TestClient(app).post("/api/v1/imports", content=b"--x--", headers=large)
    assert (stranger.status_code, stranger.json()["detail"]) == (401, "Sign in before you send a file.")
    bad = {**large, "authorization": "Bearer sft_no"}
    assert TestClient(app).post("/api/v1/imports", content=b"--x--", headers=bad).status_code == 401
    assert annotator.api.post("/api/v1/imports", content=b"--x--", headers=large).status_code == 413
