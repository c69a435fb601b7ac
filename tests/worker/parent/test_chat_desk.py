"""Chat jobs: the lease is renewed while the child says nothing, and an unforeseen error is no exception's text."""

import sys
import threading
import time
from pathlib import Path

from fastapi import FastAPI

from app.accounts.who import Who
from app.core.database import reading, transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.models import JobKind, JobState
from app.playground.work import ChatRequest
from tests.support.people import Person
from worker.parent.attempt import Attempt
from worker.parent.chat_desk import ChatDesk
from worker.parent.warm_chat import WarmChat

# Silent until a file is there, as if it loaded a large model.
SLOW = """
import json, pathlib, sys, time
for line in sys.stdin:
    request = json.loads(line)
    while not pathlib.Path(sys.argv[1]).exists():
        time.sleep(0.02)
    print(json.dumps({"id": request["id"], "event": "delta", "side": "tuned", "text": "Hello"}), flush=True)
    print(json.dumps({"id": request["id"], "event": "done", "side": "tuned", "finish_reason": "stop", "tokens": 1}), flush=True)
"""


def test_the_lease_is_renewed_while_a_model_loads_in_silence(app: FastAPI, tmp_path: Path) -> None:
    with transaction(app.state.engine) as session:
        job_id = jobs.enqueue(session, JobKind.CHAT, created_by=Who("Mei")).id or 0
    mine = Attempt.take(app.state.engine, [JobKind.CHAT], 30)
    assert mine is not None
    desk = ChatDesk(app.state.settings, app.state.engine, Storage(app.state.settings.storage_dir))
    desk._warm = WarmChat((sys.executable, "-c", SLOW, str(tmp_path / "go")))
    request = ChatRequest(id=str(job_id), base_model_path="large", sides=["tuned"])
    answering = threading.Thread(target=desk._answer, args=(mine, request))
    answering.start()
    leases = set()
    deadline = time.monotonic() + 60
    while len(leases) < 3 and time.monotonic() < deadline:
        with reading(app.state.engine) as session:
            leases.add(jobs.require_job(session, job_id).lease_expires_at)
        time.sleep(0.05)
    (tmp_path / "go").touch()
    answering.join(60)
    desk.close()
    assert len(leases) == 3
    with reading(app.state.engine) as session:
        job = jobs.require_job(session, job_id)
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)


def test_what_nobody_foresaw_is_told_without_the_exceptions_text(app: FastAPI, engineer: Person) -> None:
    with transaction(app.state.engine) as session:
        job_id = jobs.enqueue(session, JobKind.CHAT, created_by=engineer.actor.who).id or 0
    # Its payload names no run.
    ChatDesk(app.state.settings, app.state.engine, Storage(app.state.settings.storage_dir)).run_next()
    job = engineer.api.get(f"/api/v1/jobs/{job_id}").json()
    assert job["state"] == "failed"
    assert "Try again" in job["error"]
    assert "validation" not in job["error"]
    assert "run_id" not in job["error"]
