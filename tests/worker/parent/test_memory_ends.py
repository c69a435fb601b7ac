"""A real child that gets no more memory, whatever it was doing, says that and what to do, and is not taken for one that crashed."""

import json
import re
import resource
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs.models import JobKind
from app.jobs.processor import this_processor
from app.sentences import FailureCode
from tests.support.people import Person
from tests.support.training import make_queued_check
from tests.worker.work.test_child import CHILD
from worker.memory_kills import MemoryKills
from worker.parent.child_process import ChildProcess
from worker.parent.handlers import HANDLERS
from worker.parent.supervisor import Supervisor, _judge_exit, _Outcome
from worker.want_of_memory import memory_here

pytestmark = pytest.mark.usefixtures("silent_bell")
MIB = 2**20
# Enough for Python, and for none of what the work needs besides: numpy's library of products, or torch.
LITTLE, MORE = 120, 350
ABORTING = CHILD.replace('["train"]', "[sys.argv.pop()]")


def limited(folder: Path, monkeypatch: pytest.MonkeyPatch, megabytes: int) -> None:
    """Every child may address so much and no more, as `ulimit -v` of its worker has it."""
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nulimit -v {megabytes * 1024}\nexec {sys.executable} "$@"\n', "ascii")
    python.chmod(0o755)
    monkeypatch.setattr("worker.parent.child_process.sys.executable", str(python))


def ended(app: FastAPI, folder: Path, kind: JobKind, asked: dict[str, Any]) -> _Outcome:
    """What the worker makes of a child's end."""
    supervisor = Supervisor(
        app.state.settings, app.state.engine, Storage(app.state.settings.storage_dir), HANDLERS
    )
    job = folder / "job.json"
    job.write_text(json.dumps({"kind": kind, "output_dir": str(folder / "out"), "input": asked}), "utf-8")
    kills = MemoryKills.now()
    child, outcome = ChildProcess(job, folder / "log.txt"), _Outcome()
    child.start()
    nobody: Any = None  # these children tell of nothing but their end
    try:
        while not child.ended:
            supervisor._take(child.messages(1.0), nobody, outcome)
        _judge_exit(child, outcome, kind, kills)
    finally:
        child.close()
    return outcome


def says_so(outcome: _Outcome, kind: JobKind) -> str:
    """The sentence, once it is about memory, names what there is and what to do."""
    assert outcome.failure is not None
    words = outcome.failure.sentence.english()
    assert outcome.failure.code == FailureCode.OUT_OF_MEMORY, words
    assert (outcome.result, outcome.again) == (None, None)
    assert words.startswith("The memory ran out (")
    # The child's own limit where it could still tell, else the worker's.
    assert re.search(r"This machine has [\d.]+ [MG]B, which all that runs on it shares", words)
    assert ("per_device_train_batch_size" in words) == (kind is JobKind.TRAIN)
    return words


@pytest.mark.parametrize(
    ("kind", "megabytes"),
    [
        (JobKind.TRAIN, LITTLE),
        (JobKind.TRAIN, MORE),
        (JobKind.EVALUATE, LITTLE),
        (JobKind.EXPORT, LITTLE),
    ],
)
def test_what_cannot_be_loaded_for_want_of_memory_is_no_crash(
    app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: JobKind, megabytes: int
) -> None:
    limited(tmp_path, monkeypatch, megabytes)
    says_so(ended(app, tmp_path, kind, {}), kind)


@pytest.mark.parametrize(
    "kind", [JobKind.TRAIN, JobKind.CHECK_MASKS, JobKind.EVALUATE, JobKind.EXPORT, JobKind.PREPARE_BASE_MODEL]
)
def test_a_child_that_aborts_because_it_gets_no_memory_is_no_crash(
    app: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: JobKind
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{ABORTING}' \"$3\" {kind}\n", "utf-8")
    python.chmod(0o755)
    monkeypatch.setattr("worker.parent.child_process.sys.executable", str(python))
    words = says_so(ended(app, tmp_path, kind, {"do": "abort_for_memory"}), kind)
    assert "bytes failed)" in words
    assert "memory allocation of" in words


def test_a_mask_check_without_memory_says_so_in_both_languages(
    app: FastAPI, engineer: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(tmp_path, monkeypatch, LITTLE)
    storage = Storage(app.state.settings.storage_dir)
    with transaction(app.state.engine) as session:
        job_id = make_queued_check(session, storage, model_folder=tmp_path)[0].job_id
    assert Supervisor(app.state.settings, app.state.engine, storage, HANDLERS).run_next([JobKind.CHECK_MASKS])
    english = engineer.api.get(f"/api/v1/jobs/{job_id}").json()
    chinese = engineer.api.get(f"/api/v1/jobs/{job_id}", headers={"Accept-Language": "zh-CN"}).json()
    assert (english["state"], english["error_code"]) == ("failed", FailureCode.OUT_OF_MEMORY)
    assert "try again when less runs beside it" in english["error"]
    assert "内存不足" in chinese["error"]
    assert " MB" in chinese["error"] or memory_here() in chinese["error"]


def test_the_memory_that_is_named_is_no_more_than_this_process_may_have() -> None:
    limit = 64 * 1024 * MIB
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (min(limit, this_processor().memory), hard))
    try:
        assert this_processor().memory <= limit
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
