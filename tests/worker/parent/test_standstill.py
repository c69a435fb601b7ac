"""A job that stands still is told from one that waits for something that will come, and ends with where it stood in its log."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs.models import JobKind
from app.sentences import FailureCode
from app.versions.service import require_version
from tests.support.people import Person
from tests.support.training import make_queued_check
from worker.effort import LIFE
from worker.parent import standstill
from worker.parent.handlers import HANDLERS
from worker.parent.standstill import LOOK_SECONDS, STILL_SECONDS, WATCHED, Watch, signs_of
from worker.parent.supervisor import Supervisor

LOOKS = int(STILL_SECONDS / LOOK_SECONDS)
# Wakes up a hundred times a second, as what looks after connections does.
WAITS = "import time\nwhile True: time.sleep(0.01)"
# In a session of its own, as other trainers and what their launchers start.
STARTS_ONE_THAT_COMPUTES = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "while True: sum(range(10**5))"], start_new_session=True)
while True: time.sleep(0.01)
"""
READS = """
from pathlib import Path
import time
while True:
    Path({file!r}).read_bytes()
    time.sleep(0.05)
"""


@contextmanager
def watched(code: str) -> Iterator[Watch]:
    process = subprocess.Popen([sys.executable, "-c", code])
    watch = Watch(process.pid)
    try:
        yield watch
    finally:
        watch.end()
        process.wait(60)


def looks_until(watch: Watch, condition: Callable[[], bool]) -> None:
    """Looks on, as long as it takes on a machine with other work."""
    nap = threading.Event()
    for _ in range(2400):
        watch.hangs()
        if condition():
            return
        nap.wait(0.05)
    raise AssertionError("it did not come true")


def test_who_only_wakes_up_hangs_in_the_end() -> None:
    with watched(WAITS) as watch:
        still = 0
        # Whatever it does while it begins is life, however long that takes; after that there is nothing else.
        while not watch.hangs():
            still = still + 1 if watch.still else 0
            assert watch.still == still * LOOK_SECONDS < STILL_SECONDS
        assert still == LOOKS - 1


def test_who_has_started_one_that_computes_lives_also_when_it_has_a_session_of_its_own() -> None:
    with watched(STARTS_ONE_THAT_COMPUTES) as watch:
        looks_until(watch, lambda: len(watch._family) == 2)
        looks_until(watch, lambda: watch.still > 0)
        looks_until(watch, lambda: watch.still == 0)
        started = [one for one in watch._family if one.pid != watch.pid]
    _gone, left = psutil.wait_procs(started, timeout=60)
    assert not left


def test_who_reads_or_writes_lives(tmp_path: Path) -> None:
    (file := tmp_path / "file").write_bytes(bytes(2**20))
    with watched(READS.format(file=str(file))) as watch:
        before = None
        looks_until(watch, lambda: "bytes" in signs_of(watch.pid)[0])
        before = signs_of(watch.pid)[0]["bytes"]
        looks_until(watch, lambda: signs_of(watch.pid)[0]["bytes"] - before >= LIFE)
        watch.still = 1.0
        looks_until(watch, lambda: watch.still == 0)


def test_who_is_held_by_a_person_is_waited_for() -> None:
    with watched(WAITS) as watch:
        looks_until(watch, lambda: watch.still > 0)
        os.kill(watch.pid, signal.SIGSTOP)
        looks_until(watch, lambda: psutil.Process(watch.pid).status() == psutil.STATUS_STOPPED)
        assert not any(watch.hangs() for _ in range(2 * LOOKS))
        os.kill(watch.pid, signal.SIGCONT)
        looks_until(watch, lambda: watch.still > 0)


def system(folder: Path, state: str, ticks: int, waited: int) -> Path:
    """What Linux tells of process 7, its thread 8 and the children that it has waited for."""
    thread = folder / "7" / "task" / "8"
    thread.mkdir(parents=True, exist_ok=True)
    stat = f"7 (a (b) c) {state} 1 7 7 0 -1 4194304 90 80 3 40 {ticks} 5 600 70 39 19"
    for place in (thread, folder / "7"):
        (place / "stat").write_text(stat)
    (thread / "schedstat").write_text(f"123 {waited} 4\n")
    (folder / "7" / "io").write_text("rchar: 65536\nwchar: 131072\nsyscr: 1\n")
    return folder


@pytest.mark.parametrize(
    ("state", "excused"), [("S", False), ("R", False), ("D", True), ("T", True), ("t", True)]
)
def test_a_disk_that_is_slow_a_stop_and_a_busy_machine_are_no_standstill(
    state: str, excused: bool, tmp_path: Path
) -> None:
    signs, waits = signs_of(7, system(tmp_path, state, 20, 50_000_000))
    assert waits == excused
    # 3 pages and 25 hundredths of a second, and 5 of waiting for a processor; of its children 40 pages and 670; 3 times 64 KiB.
    assert signs == {"8": 3 + 25 + 5, "children": 40 + 600 + 70, "bytes": 3}


def test_a_process_that_is_gone_shows_nothing_and_hangs_no_more() -> None:
    with watched("") as watch:
        psutil.Process(watch.pid)
        looks_until(
            watch, lambda: not signs_of(watch.pid)[0] or psutil.Process(watch.pid).status() == "zombie"
        )
    assert not watch.hangs()


def test_what_speaks_with_a_hub_is_left_to_its_own_limits() -> None:
    assert WATCHED.isdisjoint({JobKind.PREPARE_BASE_MODEL, JobKind.PUSH, JobKind.CHAT})
    assert {JobKind.TRAIN, JobKind.EVALUATE, JobKind.CHECK_MASKS, JobKind.EXPORT, JobKind.IMPORT} == WATCHED


@pytest.mark.usefixtures("silent_bell")
def test_a_job_that_hangs_is_begun_again_once_and_its_log_says_where_it_stood(
    app: FastAPI, engineer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(app.state.settings.storage_dir)
    with transaction(app.state.engine) as session:
        check, _job = make_queued_check(session, storage)
        version = require_version(session, check.dataset_version_id)
        job_id, file = check.job_id, Path(storage.path(version.storage_key))
    # Whoever opens it waits for somebody who writes.
    file.unlink()
    os.mkfifo(file)
    # Three seconds of looking, in which a process that still starts does more than this.
    monkeypatch.setattr(standstill, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(standstill, "STILL_SECONDS", 3.0)
    monkeypatch.setattr(standstill, "LIFE", 5)
    # Each look counts for ten seconds: a start under load shows life for longer than that.
    supervisor = Supervisor(app.state.settings, app.state.engine, storage, HANDLERS)
    path = f"/api/v1/jobs/{job_id}"
    states = []
    for _ in range(2):
        assert supervisor.run_next([JobKind.CHECK_MASKS])
        states.append(engineer.api.get(path).json()["state"])
    assert states == ["queued", "failed"]
    ended = engineer.api.get(path).json()
    assert ended["error_code"] == FailureCode.STALLED
    assert "none of its processes has computed, read or written anything for 0 minutes" in ended["error"]
    told = " ".join(
        event.get("message", "") for event in engineer.api.get(f"{path}/events/list").json()["events"]
    )
    assert "Another attempt goes on, once" in told
    log = (storage.root / f"jobs/{job_id}/2/log.txt").read_text()
    assert "mask_check.py" in log
