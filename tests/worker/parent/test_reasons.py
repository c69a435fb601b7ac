"""The reason of a failed job on its way from the child to the reader: in the reader's language, with its code."""

import re
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.models import JobKind
from app.playground.work import ChatRequest
from app.sentences import FailureCode
from tests.support.people import Person
from tests.support.training import make_queued_check
from worker.parent.attempt import Attempt
from worker.parent.chat_desk import ChatDesk
from worker.parent.handlers import HANDLERS
from worker.parent.supervisor import Supervisor
from worker.parent.warm_chat import WarmChat

CHINESE = re.compile(r"[\u4e00-\u9fff]")
pytestmark = pytest.mark.usefixtures("silent_bell")
# Fails every request as the real one does.
UNABLE = """
import json, sys
from pathlib import Path
from worker.work.child import EventStream
from worker.work.protocol import JobFailed
for line in sys.stdin:
    failed = JobFailed("adapter_unusable", "The adapter in %(path)s is of the kind %(kind)s, not LoRA.",
                       path=Path("/a"), kind="IA3")
    EventStream(sys.stdout).emit("failed", id=json.loads(line)["id"], **failed.failure.to_json())
"""


def test_a_mask_check_without_a_readable_tokenizer_says_so_in_both_languages(
    app: FastAPI, engineer: Person, tmp_path: Path
) -> None:
    storage = Storage(app.state.settings.storage_dir)
    folder = tmp_path / "nanochat-d20"
    folder.mkdir()
    with transaction(app.state.engine) as session:
        job_id = make_queued_check(session, storage, model_folder=folder)[0].job_id
    assert Supervisor(app.state.settings, app.state.engine, storage, HANDLERS).run_next([JobKind.CHECK_MASKS])
    english = engineer.api.get(f"/api/v1/jobs/{job_id}").json()
    chinese = engineer.api.get(f"/api/v1/jobs/{job_id}", headers={"Accept-Language": "zh-CN"}).json()
    assert (english["state"], english["error_code"]) == ("failed", FailureCode.TOKENIZER_UNREADABLE)
    assert "tokenizer.json" in english["error"]
    assert str(folder) in english["error"]
    assert CHINESE.search(chinese["error"])
    assert str(folder) in chinese["error"]


def test_a_failed_answer_tells_its_reason_in_both_languages(app: FastAPI, engineer: Person) -> None:
    storage = Storage(app.state.settings.storage_dir)
    with transaction(app.state.engine) as session:
        job_id = jobs.enqueue(session, JobKind.CHAT, created_by=engineer.actor.who).id or 0
    mine = Attempt.take(app.state.engine, [JobKind.CHAT], 30)
    assert mine is not None
    desk = ChatDesk(app.state.settings, app.state.engine, storage)
    desk._warm = WarmChat((sys.executable, "-c", UNABLE))
    desk._answer(mine, ChatRequest(id=str(job_id), base_model_path="large", sides=["tuned"]))
    desk.close()
    english = engineer.api.get(f"/api/v1/jobs/{job_id}").json()
    chinese = engineer.api.get(f"/api/v1/jobs/{job_id}/events/list", headers={"Accept-Language": "zh-CN"})
    assert english["error"] == "The adapter in /a is of the kind IA3, not LoRA."
    last = chinese.json()["events"][-1]
    assert CHINESE.search(last["error"])
    assert last["error_code"] == "adapter_unusable"
