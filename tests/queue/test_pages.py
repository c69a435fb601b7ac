"""The queue on its page, by REST and on the pages of runs: what runs, what waits, until when, and who may order it."""

from datetime import timedelta

import pytest
from fastapi import FastAPI

from app.accounts.who import Who
from app.core.database import transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.claiming import Seat, claim_next
from app.jobs.devices import Devices, WorkerDevice
from app.jobs.models import Job, JobKind, JobState
from app.jobs.workers import Presence, tell_presence
from app.runs.service import RunRequest, start_run
from tests.support.people import Person, visible_text
from tests.support.training import ENGINEER, make_run, progress

CPU = Devices(devices=[WorkerDevice(name="cpu", title="CPU", memory=2**30, cores=4, key="host/cpu")])
pytestmark = pytest.mark.usefixtures("silent_bell")


@pytest.fixture
def queued(app: FastAPI, storage: Storage) -> list[int]:
    """A run that took 300 s, one that has 75 s to go, and two that wait behind it; the ids of the last three runs' jobs."""
    with transaction(app.state.engine) as session:
        worker_id = tell_presence(session, Presence("night", "training", 1, CPU), None)
        done, job = make_run(session, storage)
        mine = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert mine is not None
        told = progress(9, 9)
        told[1]["epoch"] = 2.0
        jobs.heartbeat(session, mine, lease_seconds=30, events=[told])
        jobs.finish(session, mine, JobState.SUCCEEDED, result={})
        past = session.get_one(Job, done.job_id)
        assert past.started_at is not None
        past.finished_at = past.started_at + timedelta(seconds=300)
        session.add(past)
        request = RunRequest(done.mask_check_id, confirmed=True)
        made = [start_run(session, ENGINEER, request)[0].job_id for _ in range(3)]
        running = claim_next(session, [JobKind.TRAIN], Seat("w", worker_id, CPU), lease_seconds=30)
        assert running is not None
        jobs.heartbeat(session, running, lease_seconds=30, events=[progress(25)])
        return made


def test_the_board_says_what_runs_where_and_when_what_waits_begins(
    engineer: Person, queued: list[int]
) -> None:
    board = engineer.api.get("/api/v1/queue").json()
    (running,) = board["running"]
    assert (running["job"]["id"], running["job"]["device"], running["seconds_left"]) == (queued[0], "cpu", 75)
    assert running["worker"].startswith("night@")
    assert [(one["job"]["id"], one["position"]) for one in board["waiting"]] == [
        (queued[1], 1),
        (queued[2], 2),
    ]
    first, second = board["waiting"]
    assert first["starts_at"] == running["ends_at"]
    assert first["expected_seconds"] > 0
    assert (second["starts_at"], second["why_unknown"]) == (first["ends_at"], None)
    assert board["workers"][0]["devices"][0]["cores"] == 4
    said = visible_text(engineer.browser.get("/queue").text)
    assert "25/100" in said
    assert "Run 2 " in said
    assert "4 cores" in said
    assert "unknown" not in said
    run = visible_text(engineer.browser.get("/runs/4").text)
    assert "No. 2 in the queue, starts about" in run
    assert "No. 1 in the queue, starts about" in visible_text(engineer.browser.get("/runs").text)


def test_what_nobody_can_know_is_said_to_be_unknown(app: FastAPI, engineer: Person, storage: Storage) -> None:
    with transaction(app.state.engine) as session:
        make_run(session, storage)
    (waiting,) = engineer.api.get("/api/v1/queue").json()["waiting"]
    assert waiting["starts_at"] is None
    assert "No worker that does this is running" in waiting["why_unknown"]
    said = visible_text(engineer.browser.get("/queue", headers={"Accept-Language": "zh-CN"}).text)
    assert "没有可执行此类任务的工作进程在运行" in said


def test_an_engineer_orders_everybodys_jobs_and_others_do_not(
    annotator: Person, engineer: Person, queued: list[int]
) -> None:
    path = f"/queue/jobs/{queued[2]}"
    assert annotator.api.post(f"/api/v1{path}/move", json={"where": "up"}).status_code == 403
    assert "To the top" not in annotator.browser.get("/queue").text
    board = engineer.api.post(f"/api/v1{path}/move", json={"where": "top"}).json()
    assert [one["job"]["id"] for one in board["waiting"]] == [queued[2], queued[1]]
    refused = engineer.api.post(f"/api/v1{path}/move", json={"where": "up"})
    assert (refused.status_code, "first of its priority" in refused.json()["detail"]) == (409, True)
    part = engineer.browser.post(f"{path}/priority", data={"priority": "low"}, headers={"HX-Request": "true"})
    assert part.text.index(f"priority-{queued[1]}-") < part.text.index(f"priority-{queued[2]}-")
    assert engineer.browser.post(f"{path}/move", data={"where": "sideways"}).status_code == 422
    assert engineer.browser.post(f"{path}/stop").headers["location"] == "/queue"
    assert engineer.api.get(f"/api/v1/jobs/{queued[2]}").json()["state"] == "cancelled"


def test_a_pause_is_said_on_every_page_that_shows_what_waits(
    admin: Person, engineer: Person, queued: list[int]
) -> None:
    assert engineer.api.post("/api/v1/queue/pause", json={}).status_code == 403
    assert "Pause the queue" not in engineer.browser.get("/queue").text
    assert admin.browser.post("/queue/pause", data={"reason": "New cards"}).status_code == 303
    for page in ("/queue", "/runs", "/runs/4"):
        assert "The queue is paused" in visible_text(engineer.browser.get(page).text), page
    assert "New cards" in engineer.browser.get("/queue").text
    board = admin.api.post("/api/v1/queue/resume").json()
    assert board["pause"] is None
    assert board["waiting"][0]["starts_at"] is not None


def test_a_run_asks_for_a_device_that_a_worker_has(engineer: Person, queued: list[int]) -> None:
    check_id = engineer.api.get("/api/v1/runs/1").json()["mask_check_id"]
    body = {"mask_check_id": check_id, "confirmed": True}
    refused = engineer.api.post("/api/v1/runs", json={**body, "device": "cuda:1"})
    assert (refused.status_code, "There are: cpu" in refused.json()["detail"]) == (422, True)
    key = {"Idempotency-Key": "night-7"}
    made = engineer.api.post("/api/v1/runs", json={**body, "device": "cpu"}, headers=key)
    assert (made.status_code, made.json()["already_started"]) == (201, False)
    assert made.json()["job"]["device_wanted"] == "cpu"
    again = engineer.api.post("/api/v1/runs", json={**body, "device": "cpu"}, headers=key)
    assert (again.status_code, again.json()["already_started"], again.json()["id"]) == (
        200,
        True,
        made.json()["id"],
    )
    said = engineer.browser.get(f"/runs/{made.json()['id']}?already=true").text
    assert "This run was started already" in said


def test_every_kind_of_job_is_named_and_chats_are_nobodys_business(app: FastAPI, engineer: Person) -> None:
    with transaction(app.state.engine) as session:
        asked = {
            "upload": "x", "filename": "calls.jsonl", "format": "auto", "skip_bad": False,
            "same_questions": "ask", "source": {}, "role": "engineer",
        }  # fmt: skip
        for kind in JobKind:
            job = jobs.enqueue(session, kind, created_by=Who("Mei"))
            job.payload = asked if kind is JobKind.IMPORT else {}
    board = engineer.api.get("/api/v1/queue").json()
    assert {one["job"]["kind"] for one in board["waiting"]} == set(JobKind) - {"chat"}
    assert "calls.jsonl" in engineer.browser.get("/queue").text


def test_a_paused_run_is_found_in_the_queue_and_goes_on_from_there(
    annotator: Person, engineer: Person, queued: list[int]
) -> None:
    assert "Paused" not in visible_text(engineer.browser.get("/queue").text)
    for run_id in (3, 4):
        run = engineer.api.post(f"/api/v1/runs/{run_id}/pause")
        assert run.status_code == 200, run.text
    board = engineer.api.get("/api/v1/queue").json()
    (paused, other) = board["paused"]
    assert (paused["job"]["id"], paused["job"]["state"], paused["page"]) == (queued[1], "paused", "/runs/3")
    assert board["waiting"] == []
    assert f"/queue/jobs/{queued[1]}/resume" not in annotator.browser.get("/queue").text
    said = engineer.browser.get("/queue", headers={"Accept-Language": "zh-CN"}).text
    assert "已暂停" in visible_text(said)
    part = engineer.browser.post(f"/queue/jobs/{queued[1]}/resume", headers={"HX-Request": "true"})
    assert f'action="/queue/jobs/{queued[1]}/move"' in part.text
    assert engineer.browser.post(f"/queue/jobs/{queued[1]}/resume").status_code == 409
    # what was paused is dropped when it is cancelled, and the question says so
    assert f'action="/queue/jobs/{other["job"]["id"]}/stop"' in part.text
    assert engineer.browser.post(f"/queue/jobs/{queued[2]}/stop").status_code == 303
    left = engineer.api.get("/api/v1/queue").json()
    assert (left["paused"], [one["job"]["id"] for one in left["waiting"]]) == ([], [queued[1]])


def test_what_is_no_run_cannot_go_on(app: FastAPI, engineer: Person) -> None:
    with transaction(app.state.engine) as session:
        job = jobs.enqueue(session, JobKind.EXPORT, created_by=Who("Mei"))
    refused = engineer.browser.post(f"/queue/jobs/{job.id}/resume")
    assert (refused.status_code, f"Job {job.id} is no run." in visible_text(refused.text)) == (404, True)
