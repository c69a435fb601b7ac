"""`sft-studio import` of a large file: it waits for the job, says how far that is, and ends as the job does."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import col, select

from app.core.database import reading
from app.imports import sending
from app.jobs.models import Job, JobKind, JobState
from tests.cli.conftest import LiveServer
from worker.parent.handlers import HANDLERS
from worker.parent.supervisor import Supervisor

pytestmark = pytest.mark.usefixtures("silent_bell")


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is left to a job."""
    monkeypatch.setattr(sending, "QUICK_BYTES", 0)


def write(path: Path, *answers: str, more: str = "") -> Path:
    asked = [{"role": "user", "content": "How much?"}]
    said = ({"messages": [*asked, {"role": "assistant", "content": answer}]} for answer in answers)
    path.write_text("".join(json.dumps(one) + "\n" for one in said) + more)
    return path


@contextmanager
def meanwhile(app: FastAPI, act: Callable[[int], Any]) -> Iterator[None]:
    """What happens to the next job once it waits in the queue, beside the command."""
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            with reading(app.state.engine) as session:
                waiting = session.exec(select(Job).where(col(Job.state) == JobState.QUEUED)).first()
            if waiting:
                act(waiting.id or 0)
                return
            time.sleep(0.05)

    beside = threading.Thread(target=look)
    beside.start()
    try:
        yield
    finally:
        ended.set()
        beside.join(60)


def test_the_command_waits_for_the_job_and_shows_its_report(
    app: FastAPI, live: LiveServer, tmp_path: Path
) -> None:
    worker = Supervisor(app.state.settings, app.state.engine, app.state.storage, HANDLERS)

    def work(_job: int) -> None:
        worker.run_next([JobKind.IMPORT])

    told = ("--dataset", "Sales", "--json")
    file = write(tmp_path / "calls.jsonl", "Fifty.", "Sixty.", more='{"messages": [{"role": "user"}]}\n')
    with meanwhile(app, work):
        refused = live.run("import", str(file), *told)
    assert refused.code == 1
    assert "Line 3" in refused.stderr
    assert "Nothing was imported from calls.jsonl" in refused.error
    assert "--skip-bad" in refused.error
    assert refused.json["accepted"] == 0
    assert live.run("list", "datasets", "--json").json == []

    with meanwhile(app, work):
        taken = live.run("import", str(file), *told, "--skip-bad")
    assert taken.code == 0, taken.stderr
    assert (taken.json["accepted"], taken.json["problem_count"]) == (2, 1)
    assert taken.json["job"]["state"] == "succeeded"
    said = taken.stderr.splitlines()
    assert [line for line in said if line.startswith("calls.jsonl: ")][:2] == [
        "calls.jsonl: Queued",
        "calls.jsonl: Reading the file",
    ]

    corrected = write(tmp_path / "corrected.jsonl", "Seventy.")
    with meanwhile(app, work):
        asked = live.run("import", str(corrected), *told, "--same-questions", "ask")
    assert asked.code == 1
    assert "--same-questions keep, replace or skip" in " ".join(asked.error.split())


def test_a_job_that_is_cancelled_or_fails_ends_the_command_with_its_sentence(
    app: FastAPI, live: LiveServer, tmp_path: Path
) -> None:
    file = write(tmp_path / "calls.jsonl", "Fifty.")

    def cancel(job: int) -> None:
        head = {"Authorization": f"Bearer {live.token}"}
        httpx.post(f"{live.url}/api/v1/imports/jobs/{job}/cancel", headers=head).raise_for_status()

    with meanwhile(app, cancel):
        cancelled = live.run("import", str(file), "--dataset", "Sales")
    assert (cancelled.code, cancelled.stdout) == (1, "")
    assert cancelled.error == "sft-studio: The import was cancelled."

    def lose(_job: int) -> None:
        for staged in app.state.storage.folder("incoming").glob("*.data"):
            staged.unlink()
        Supervisor(app.state.settings, app.state.engine, app.state.storage, HANDLERS).run_next(
            [JobKind.IMPORT]
        )

    with meanwhile(app, lose):
        failed = live.run("import", str(file), "--dataset", "Sales")
    assert (failed.code, failed.stdout) == (1, "")
    assert "The import failed: " in failed.error
    assert "Choose it again" in failed.error
    assert live.run("list", "datasets", "--json").json == []
