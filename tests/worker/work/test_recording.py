"""The record of an attempt: there before anybody is told, and no reason to end a run."""

from pathlib import Path
from typing import Any

from app.jobs.events import EventKind
from app.jobs.record import RECORD, read_record
from tests.worker.conftest import Recorder
from worker.work.recording import Recording


def test_what_is_measured_is_written_down_before_it_is_told(tmp_path: Path) -> None:
    there: list[list[EventKind]] = []

    def emit(_kind: EventKind, /, **_payload: Any) -> None:
        there.append([kind for kind, _payload in read_record(tmp_path)])

    with Recording(emit, tmp_path) as told:
        told(EventKind.EVAL, step=0, eval_loss=float("nan"))
        told(EventKind.PROGRESS, step=1, total_steps=2)
        told(EventKind.CHECKPOINT, step=1, path=str(tmp_path))
    assert there == [["eval"], ["eval"], ["eval", "checkpoint"]]
    assert next(read_record(tmp_path)) == ("eval", {"step": 0, "eval_loss": None})


def test_a_disk_that_takes_no_record_is_told_once_and_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / RECORD).mkdir()
    emit = Recorder()
    with Recording(emit, tmp_path) as told:
        told(EventKind.EVAL, step=1, eval_loss=1.0)
        told(EventKind.EVAL, step=2, eval_loss=1.0)
    assert [event["event"] for event in emit.events] == ["log", "eval", "eval"]
    assert emit.of("log")[0]["level"] == "warning"
