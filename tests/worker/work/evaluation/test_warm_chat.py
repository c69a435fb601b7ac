"""The parent's side of the warm chat against a stand-in process: no model, only the protocol's edges."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.files import CODE_FOLDER
from app.playground.work import ChatRequest
from app.sentences import FailureCode, SentenceError
from tests.support.processes import runs
from tests.support.said import said
from worker.memory_kills import MemoryKills
from worker.parent.warm_chat import TICK, WarmChat

# Answers each request with one delta and a done; the messages "die", "kill" and "want" (of memory) end it, "hang" is never answered.
STAND_IN = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if "cancel" in request:
        continue
    text = request["messages"][0]["content"]
    if text == "die":
        sys.exit(1)
    if text == "want":
        from tests.support.no_memory import abort_for_memory
        abort_for_memory()
    if text == "kill":
        import os
        os.kill(os.getpid(), 9)
    if text == "hang":
        continue
    if text == "wait":
        print(json.dumps({"id": request["id"], "event": "delta", "side": "base", "text": "half "}), flush=True)
        line = sys.stdin.readline()
    print("not an event", flush=True)
    for side in request["sides"]:
        print(json.dumps({"id": request["id"], "event": "delta", "side": side, "text": text}), flush=True)
        print(json.dumps({"id": request["id"], "event": "done", "side": side, "tokens": 1}), flush=True)
"""
COMMAND = (sys.executable, "-c", STAND_IN)


def request(text: str, **more: Any) -> ChatRequest:
    return ChatRequest(base_model_path="small", messages=[{"role": "user", "content": text}], **more)


def ask(chat: WarmChat, text: str) -> list[str]:
    return [event["event"] for event in chat.stream(request(text))]


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_it_starts_with_the_first_request_and_close_leaves_no_process() -> None:
    chat = WarmChat(COMMAND)
    assert chat.process_id is None
    assert ask(chat, "您好") == ["delta", "done"]
    pid = chat.process_id
    assert pid is not None
    chat.close()
    assert not runs(pid)
    with pytest.raises(SentenceError):
        ask(chat, "hello")


def test_a_process_that_dies_fails_its_request_and_is_started_anew() -> None:
    with WarmChat(COMMAND) as chat:
        assert ask(chat, "die") == ["failed"]
        assert ask(chat, "hello") == ["delta", "done"]


def test_a_process_that_gets_no_memory_says_that_and_what_to_do(capfd: pytest.CaptureFixture[str]) -> None:
    with WarmChat(COMMAND) as chat:
        (event,) = chat.stream(request("want"))
        assert event["code"] == FailureCode.OUT_OF_MEMORY
        assert re.match(
            r"The memory ran out \(.*memory allocation of \d+ bytes failed\)\. This machine has", said(event)
        )
        assert "try again when less runs beside it" in said(event)
        assert ask(chat, "hello") == ["delta", "done"]
    assert "bytes failed" in capfd.readouterr().err, "and what it printed stands where the worker prints"


@pytest.mark.parametrize(
    ("one_came", "begins"),
    [
        (True, "The machine's memory ran out, and the system killed the process (signal SIGKILL)"),
        (None, "The process was killed (signal SIGKILL). Often that is the machine's memory running out"),
        (False, "The chat process ended unexpectedly; ask again"),
    ],
)
def test_a_killed_process_names_the_memory_where_that_was_or_may_be_the_reason(
    monkeypatch: pytest.MonkeyPatch, one_came: bool | None, begins: str
) -> None:
    monkeypatch.setattr(MemoryKills, "one_came", lambda _: one_came)
    with WarmChat(COMMAND) as chat:
        (event,) = chat.stream(request("kill"))
        assert said(event).startswith(begins)


def test_a_process_that_is_silent_too_long_is_stopped() -> None:
    with WarmChat(COMMAND, stall_timeout_seconds=0.5) as chat:
        events = list(chat.stream(request("hang")))
        assert events[-1]["event"] == "failed"
        assert "did not answer" in said(events[-1])
        assert chat.process_id is None
        chat._stall_timeout_seconds = 60  # a start may take longer than half a second
        assert ask(chat, "hello") == ["delta", "done"]


def test_a_request_under_way_is_attached_to_from_its_first_event() -> None:
    asked = request("wait", id="7")
    with WarmChat(COMMAND) as chat:
        first = chat.stream(asked)
        assert next(first)["text"] == "half "
        second = chat.stream(asked)
        assert next(second)["text"] == "half "
        assert list(first) == []  # it reads no more, and ends without cancelling
        other = chat.stream(request("the line that the stand-in waits for"))
        threading.Thread(target=list, args=(other,), daemon=True).start()
        assert [event["event"] for event in second] == ["delta", "done"]


def test_a_silent_process_lets_its_reader_do_something_meanwhile() -> None:
    with WarmChat(COMMAND) as chat:
        stream = chat.stream(request("hang"), tick_seconds=0.01)
        assert [next(stream)["event"] for _ in range(3)] == [TICK] * 3
        stream.close()


def test_an_idle_process_is_stopped_and_comes_back() -> None:
    with WarmChat(COMMAND, idle_timeout_seconds=0.2) as chat:
        assert ask(chat, "hello") == ["delta", "done"]
        assert wait_until(lambda: chat.process_id is None)
        assert ask(chat, "hello") == ["delta", "done"]


def test_a_process_that_ignores_the_end_of_input_is_killed() -> None:
    stubborn = (sys.executable, "-c", "import time\nwhile True: time.sleep(1)")
    chat = WarmChat(stubborn, stall_timeout_seconds=0.3)
    assert ask(chat, "hello") == ["failed"]
    assert chat.process_id is None
    chat.close()


def test_a_command_that_cannot_run_fails_the_request() -> None:
    with WarmChat((sys.executable, "-c", "raise SystemExit(3)")) as chat:
        assert ask(chat, "hello") == ["failed"]


def test_the_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time, pathlib\n"
            "from worker.parent.warm_chat import WarmChat\n"
            "chat = WarmChat((sys.executable, '-c', 'import sys; sys.stdin.read()'))\n"
            "chat._process = chat._start()\n"
            f"pathlib.Path({str(told)!r}).write_text(str(chat.process_id))\n"
            "time.sleep(600)\n",
        ],
        cwd=CODE_FOLDER,
    )
    try:
        assert wait_until(lambda: told.is_file() and told.read_text() != "")
        child = psutil.Process(int(told.read_text()))
    finally:
        parent.kill()
        parent.wait(60)
    assert wait_until(lambda: not runs(child))


def test_the_parent_needs_no_torch() -> None:
    code = "import sys, worker.parent.warm_chat; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=CODE_FOLDER, check=False).returncode == 0
