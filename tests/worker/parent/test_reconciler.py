"""The thread in every worker that takes away what killed processes left."""

import os
import threading
import time
from pathlib import Path

from sqlalchemy import Engine

from app.core.database import transaction
from app.core.settings import Settings
from app.core.storage import Storage
from app.jobs import service as jobs
from app.jobs.devices import Devices
from app.jobs.models import JobKind, JobState
from app.jobs.workers import Presence
from tests.support.training import ENGINEER
from tests.support.workers import wait_until
from worker.parent.chat_desk import ChatDesk
from worker.parent.reconciler import Reconciler
from worker.parent.runner import JobRunner
from worker.parent.supervisor import Supervisor


def left_behind(path: Path, *, days: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("what somebody said")
    os.utime(path, (time.time() - days * 86400,) * 2)
    return path


def test_what_killed_processes_were_writing_goes_and_what_is_being_written_stays(
    engine: Engine, settings: Settings
) -> None:
    storage = Storage(settings.storage_dir)
    with transaction(engine) as session:
        job = jobs.enqueue(session, JobKind.CHECK_MASKS, created_by=ENGINEER.who)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=30)
        assert claim is not None
        jobs.finish(session, claim, JobState.CANCELLED)
    root = storage.root
    going = [
        left_behind(root / "versions" / ".partial-of-a-killed-freeze", days=2),
        left_behind(root / "incoming" / ("a" * 22 + ".data"), days=2),
        left_behind(root / "jobs" / "9" / "1" / ".partial-job", days=2),
        left_behind(root / "jobs" / str(claim.job_id) / "1" / "arrays.safetensors", days=0),
    ]
    staying = [
        left_behind(root / "versions" / ".partial-of-now", days=0),
        left_behind(root / "versions" / "old.jsonl", days=400),
        left_behind(root / "incoming" / ("b" * 22 + ".data"), days=0.5),
        left_behind(root / "jobs" / str(claim.job_id) / "1" / "log.txt", days=400),
    ]
    stop = threading.Event()
    hasty = settings.model_copy(update={"reconcile_seconds": 0.01})
    runner = JobRunner(engine, Supervisor(hasty, engine, storage, {}), ChatDesk(hasty, engine, storage))
    presence = Presence("night", "", 1, Devices())
    thread = Reconciler(engine, hasty, storage, stop, runner=runner, presence=presence)
    thread.start()
    try:
        wait_until(
            lambda: not any(path.exists() for path in going), timeout_seconds=240, what="they are gone"
        )
    finally:
        stop.set()
        thread.join(60)
    assert [path.name for path in staying if not path.exists()] == []
