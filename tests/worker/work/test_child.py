"""The child process as the parent sees it: a real process, its streams and its exit code."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.sentences import FailureCode
from tests.support.said import said
from worker.work.child import NICENESS
from worker.work.protocol import Cancelled, Control, JobFailed, Paused

PROJECT = Path(__file__).resolve().parents[3]
# The real child with one of its kinds answered by the test's own work.
CHILD = """
import os, sys
import worker.work.child as child
child.WORK_MODULES["train"] = "tests.worker.work.fake_work"
os._exit(child.main(sys.argv[1:]))
"""


class Child:
    def __init__(self, folder: Path, log: Any = subprocess.PIPE, **job: Any) -> None:
        job_file = folder / "job.json"
        job_file.write_text(json.dumps({"kind": "train", "output_dir": str(folder / "out"), **job}), "utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(job_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=PROJECT,
        )
        assert self.process.stdin
        assert self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def say(self, line: bytes) -> None:
        self.stdin.write(line + b"\n")
        self.stdin.flush()

    def next_event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.stdout.readline())
        return event

    def end(self) -> tuple[int, list[dict[str, Any]], str]:
        """Wait with standard input still open; returns exit code, events and the log."""
        events = [json.loads(line) for line in self.stdout]
        assert self.process.stderr
        log = self.process.stderr.read().decode()
        return self.process.wait(timeout=120), events, log


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    children: list[Child] = []

    def starting(**job: Any) -> Child:
        children.append(Child(tmp_path, **job))
        return children[-1]

    yield starting
    for child in children:
        child.process.kill()
        child.process.wait(60)
        for stream in (child.process.stdin, child.process.stdout, child.process.stderr):
            assert stream
            stream.close()


def test_only_events_reach_the_protocol_stream_and_what_libraries_print_is_the_log(start: Any) -> None:
    code, events, log = start(input={"do": "print"}).end()
    assert code == 0
    assert events == [
        {"event": "metric", "step": 1, "loss": None, "grad_norm": None, "text": "谈价"},
        {"event": "result", "kept": True},
    ]
    assert "a library prints" in log
    assert "C code prints" in log


@pytest.mark.parametrize(("work", "ended"), [("chatter", "result"), ("crash", "failed")])
def test_what_finds_no_room_in_the_log_is_dropped_and_how_the_job_ended_is_told(
    tmp_path: Path, work: str, ended: str
) -> None:
    with Path("/dev/full").open("wb") as full:
        child = Child(tmp_path, full, input={"do": work})
    with child.process, child.stdin:
        assert [json.loads(line)["event"] for line in child.stdout][-1] == ended


def test_a_job_gives_way_to_pages_on_the_same_cores(start: Any) -> None:
    _, events, _ = start(input={"do": "tell_niceness"}).end()
    assert events == [{"event": "result", "niceness": min(os.nice(0) + NICENESS, 19)}]


def test_what_a_job_has_imported_is_no_longer_looked_through_for_garbage(start: Any) -> None:
    _, (told,), _ = start(input={"do": "tell_of_garbage"}).end()
    assert told["collected"] is True
    # Tens of thousands of objects, and few that were made since.
    assert told["passed_over"] > 10 * told["looked_through"]


def test_a_cancelled_job_says_so_and_exits_with_zero(start: Any) -> None:
    child = start(input={"do": "wait"})
    assert child.next_event() == {"event": "phase", "phase": "training"}
    child.say(b'{"stop": "cancel"}')
    assert child.end()[:2] == (0, [{"event": "cancelled"}])


def test_a_line_that_is_not_understood_is_logged_and_a_wish_to_save_still_counts(start: Any) -> None:
    child = start(input={"do": "wait"})
    child.next_event()
    child.say(b"{not json")
    child.say(b'{"stop": "save"}')
    code, events, log = child.end()
    assert (code, events) == (0, [{"event": "result", "stopped_early": True}])
    assert "not understood" in log


def test_the_child_ends_at_once_when_its_parent_is_gone(start: Any) -> None:
    child = start(input={"do": "wait"})
    child.next_event()
    child.stdin.close()
    assert child.process.wait(timeout=120) == 3


@pytest.mark.parametrize(
    ("work", "words"),
    [
        ("crash", "KeyError"),
        ("memory", "The memory ran out (MemoryError). This machine has "),
        # It reads as a file that is broken to whoever could not load it.
        ("load_for_memory", "The memory ran out (Cannot allocate memory (os error 12)). This machine has "),
        ("torch_memory", "per_device_train_batch_size"),
        ("disk", "The disk is full"),
    ],
)
def test_an_unexpected_end_is_one_sentence_and_the_traceback_is_in_the_log(
    start: Any, work: str, words: str
) -> None:
    code, events, log = start(input={"do": work}).end()
    assert code == 1
    (failed,) = events
    assert failed["event"] == "failed"
    assert words in said(failed)
    assert "\n" not in said(failed)
    assert "Traceback" not in said(failed)
    assert "Traceback" in log


def test_an_expected_failure_carries_its_template_for_translation(start: Any) -> None:
    code, events, log = start(input={"do": "fail"}).end()
    assert code == 1
    assert events == [
        {
            "event": "failed",
            "code": "config_invalid",
            "template": "The field %(field)s is not known.",
            "values": {"field": "lr"},
        }
    ]
    assert "Traceback" not in log


def test_a_failure_that_another_attempt_may_mend_says_so(start: Any) -> None:
    code, [failed], _ = start(input={"do": "lose_a_process"}).end()
    assert (code, failed["code"]) == (1, "died")
    assert failed["again"] == {"template": "Again after %(signal)s.", "values": {"signal": "SIGTERM"}}


def test_no_value_of_a_failure_or_an_event_ends_the_child(start: Any) -> None:
    code, events, _ = start(input={"do": "fail_with_values"}).end()
    assert (code, said(events[0])) == (1, "/a/b\\udcff: <class 'object'>")
    code, events, _ = start(input={"do": "emit_values"}).end()
    assert code == 0
    assert said(events[0]) == "Reads /a."
    assert [event.get("path") for event in events[1:]] == ["/a/b\\udcff", "/c"]


def test_an_unknown_kind_is_refused_by_name(start: Any) -> None:
    code, events, _ = start(kind="dance", input={}).end()
    assert (code, said(events[0])) == (1, "There is no work of the kind dance.")


def test_an_input_that_lacks_what_the_work_needs_is_refused_by_the_fields_name(start: Any) -> None:
    code, events, _ = start(input={"done": True}).end()
    assert (code, events[0]["code"], said(events[0])) == (1, "job_malformed", "do is missing.")


def test_a_job_file_that_is_missing_or_incomplete_is_refused(tmp_path: Path) -> None:
    incomplete = tmp_path / "job.json"
    incomplete.write_text('{"kind": "train"}')
    for path, words in ((tmp_path / "none.json", "cannot be read"), (incomplete, "input, output_dir")):
        done = subprocess.run(
            [sys.executable, "-m", "worker.work.child", str(path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=PROJECT,
            check=False,
        )
        assert done.returncode == 1
        assert words in said(json.loads(done.stdout))


def test_starting_the_child_does_not_import_torch() -> None:
    code = "import sys, worker.work.child; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0


def test_a_pause_says_so_unless_something_stronger_was_asked_for() -> None:
    control = Control()
    control.request_stop("pause")
    with pytest.raises(Paused):
        control.raise_if_stopped()
    control.request_stop("save")
    control.request_stop("pause")
    control.raise_if_stopped()
    assert control.stop_requested == "save"


def test_a_cancel_outranks_a_save() -> None:
    control = Control()
    control.request_stop("save")
    control.raise_if_cancelled()
    control.request_stop("cancel")
    control.request_stop("save")
    with pytest.raises(Cancelled):
        control.raise_if_cancelled()


def test_a_message_without_parameters_may_hold_a_percent_sign() -> None:
    assert str(JobFailed(FailureCode.DISK_FULL, "100 % of the disk is used")) == "100 % of the disk is used"
