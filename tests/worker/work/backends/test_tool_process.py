"""What a tool's process is given, and what is heard of it."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.sentences import FailureCode
from tests.support import no_memory
from tests.support.patience import HANGING_SECONDS
from tests.support.processes import working_in
from tests.support.workers import wait_until
from worker.parent.standstill import Watch, _listens
from worker.want_of_memory import memory_here
from worker.work.backends import tool_process
from worker.work.backends.explaining import explain
from worker.work.backends.tool_process import OBSERVER, ToolProcess, tool_environment

LAUNCHER = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
# Ends with words after so many repetitions of others, and no end of a line.
DIES = (
    "import os\nos.write(1, b'epoch 1 ' * %d + b'OSError: [Errno 28] No space left on device')\nos._exit(1)"
)


@pytest.mark.parametrize("before", [0, 200_000], ids=["half a line", "a line that never ends"])
def test_the_last_words_of_a_tool_that_dies_in_the_middle_of_a_line_are_heard(
    tmp_path: Path, before: int
) -> None:
    (tmp_path / "train.py").write_text(DIES % before)
    with ToolProcess(Path(sys.executable), ["python", "train.py"], tmp_path) as process:
        while (code := process.exit_code) is None:
            process.messages(0.1)
        assert process.last_messages() == []
        assert process.printed[-1].endswith("No space left on device")
        assert explain("TRL", code, process.printed, for_memory=None).code == FailureCode.DISK_FULL


def test_a_tool_that_aborts_because_it_gets_no_memory_says_so(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(Path(no_memory.__file__).read_text("utf-8"), "utf-8")
    with ToolProcess(Path(sys.executable), ["python", "train.py"], tmp_path) as process:
        while (code := process.exit_code) is None:
            process.messages(0.1)
        assert process.last_messages() == []
    failed = explain("TRL", code, process.printed, for_memory=None)
    assert (code, failed.code, failed.again) == (-signal.SIGABRT, FailureCode.OUT_OF_MEMORY, None)
    assert f"The machine has {memory_here()}" in failed.sentence.english()


def test_what_a_tool_told_is_heard_though_it_has_ended_before_its_call_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a busy machine, where the thread that takes calls comes to its turn when all is over."""
    turn, who_called = threading.Event(), tool_process._who_called

    def late(connection: socket.socket) -> tuple[int, int]:
        assert turn.wait(HANGING_SECONDS)
        return who_called(connection)

    monkeypatch.setattr(tool_process, "_who_called", late)
    (tmp_path / "train.py").write_text(
        "import sys\n[one] = [one for one in sys.meta_path if hasattr(one, 'line')]\none.line.tell('end')"
    )
    with ToolProcess(Path(sys.executable), ["python", "train.py"], tmp_path) as process:
        while process.exit_code is None:
            assert process.messages(0.1) == []
        threading.Timer(0.3, turn.set).start()
        assert process.last_messages() == [{"event": "end"}]


def test_nothing_of_it_outlives_a_worker_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(LAUNCHER)
    (temporary := tmp_path / "temporary").mkdir()
    worker = f"""
import sys, time
from pathlib import Path
from worker.work.backends.tool_process import ToolProcess
ToolProcess(Path(sys.executable), ["python", "train.py"], Path({str(tmp_path)!r}))
time.sleep(600)
"""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen([sys.executable, "-c", worker], env=environment)
    wait_until(
        lambda: len(working_in(tmp_path)) == 2,
        timeout_seconds=HANGING_SECONDS,
        what="a launcher and what it launches",
    )
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    wait_until(lambda: not working_in(tmp_path), timeout_seconds=HANGING_SECONDS, what="an end of both")
    assert {path.name for path in tmp_path.rglob("*")} == {"train.py", "temporary"}


@pytest.mark.parametrize(
    "heard", ["nothing: it was not even called back", "not all that was said", "everything"]
)
def test_a_process_ends_with_who_watched_it_whatever_that_one_has_heard(heard: str) -> None:
    name = f"sft-studio-test-{secrets.token_hex(8)}"
    script = "import sys, time; print('begun', flush=True); time.sleep(600)"
    if heard == "not all that was said":
        script = (
            "import sys; [one] = [one for one in sys.meta_path if hasattr(one, 'line')]; one.line.tell('log'); "
            + script
        )
    environment = {"PYTHONPATH": str(OBSERVER), "SFT_STUDIO_OBSERVER": name}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        process = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"begun\n"
            if not heard.startswith("nothing"):
                listener.accept()[0].close()
            listener.close()
            assert process.wait(60) == 3
        finally:
            process.kill()
            process.communicate(timeout=60)


def test_of_a_line_that_is_written_over_and_over_the_last_state_is_kept(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(r"print('10 %\r20 %\rTypeError: no model')")
    with ToolProcess(Path(sys.executable), ["python", "train.py"], tmp_path) as process:
        while process.exit_code is None:
            process.messages(0.1)
        process.last_messages()
        assert list(process.printed) == ["TypeError: no model"]


def test_the_studios_addresses_are_not_handed_on() -> None:
    inherited = {"PATH": "/bin", "DATABASE_URL": "x", "SFT_STUDIO_DATA": "y", "CUDA_VISIBLE_DEVICES": "2,3"}
    found = tool_environment(inherited, Path("/tools/axolotl/bin/python"), "observer", Path("/run/files"))
    assert not {"DATABASE_URL", "SFT_STUDIO_DATA"} & found.keys()
    assert found["PATH"] == "/tools/axolotl/bin:/bin"
    assert found["CUDA_VISIBLE_DEVICES"] == "2"
    assert found["PYTHONPATH"] == str(OBSERVER)
    assert found["HF_DATASETS_CACHE"] == "/run/files/.cache"


def test_a_tool_that_hangs_writes_where_it_stands_when_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()\n"
    )
    with ToolProcess(Path(sys.executable), ["python", "train.py"], tmp_path) as process:
        watch = Watch(process._process.pid)
        wait_until(lambda: _listens(watch.pid), timeout_seconds=240, what="it began")
        assert not watch.hangs()

        def has_said() -> bool:
            # It may have been on its way there the time before.
            watch.ask_where()
            return any('train.py", line 4 in <module>' in line for line in list(process.printed))

        wait_until(has_said, timeout_seconds=240, what="its stack")
        watch.end()
        wait_until(lambda: process.exit_code is not None, timeout_seconds=240, what="its end")
