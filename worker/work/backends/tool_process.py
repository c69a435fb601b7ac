"""Another trainer as a process group of its own: what it prints, what its observer tells, and how it is ended.

The observer speaks through a socket, not through what the tool prints. The socket is a lifeline too: each Python process
of the tool ends when this one does, however that ends.
"""

import json
import os
import queue
import secrets
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from app.interop.environments import program_beside
from app.line_process import LineProcess
from worker.memory_kills import MemoryKills

OBSERVER: Final = Path(__file__).parent / "observer"
# Of what it printed, so many lines are kept to explain a failure.
_KEPT_LINES: Final = 200
# What is longer comes in pieces: a bar that is drawn over and over ends no line.
_LINE_BYTES: Final = 2**16
_GRACE_SECONDS: Final = 5.0
# What has been said by then is read when it has ended, whatever else the machine does meanwhile.
_REST_SECONDS: Final = 15.0
# Where datasets keeps what it makes of the data, with all tokens: below the tool's folder, which goes with the run.
DATASETS: Final = ".cache"
QUIETLY: Final = {
    # Nothing is fetched, nobody is told, and a log is no place for progress bars.
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "AXOLOTL_DO_NOT_TRACK": "1",
    "UNSLOTH_DISABLE_STATISTICS": "1",
    "TQDM_DISABLE": "1",
    "PYTHONUNBUFFERED": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
# The studio's own addresses, settings and keys are none of a tool's business.
_NOT_HANDED_ON: Final = ("SFT_STUDIO_", "DATABASE_URL", "REDIS_URL", "WANDB_")


class ToolProcess:
    """Started at once; raises OSError where the program cannot be. A context: nothing of it is left behind."""

    def __init__(
        self,
        python: Path,
        command: Sequence[str],
        folder: Path,
        devices: int = 1,
        resume_from: str | None = None,
    ) -> None:
        """`command`'s first word is a program beside `python`; it runs in `folder`, with so many GPUs where there are any, and goes on from
        the checkpoint in `resume_from`."""
        self.printed: deque[str] = deque(maxlen=_KEPT_LINES)
        self.kills = MemoryKills.now()
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._connections: list[socket.socket] = []
        self._called_myself = threading.Event()
        # A name that is no file: a worker that is killed leaves none, and a data folder on any kind of disk will do.
        name = f"sft-studio-{secrets.token_hex(16)}"
        self._address = f"\0{name}"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self._address)
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        program = program_beside(python, command[0])
        try:
            self._process = LineProcess(
                (str(program), *command[1:]),
                environment={
                    **tool_environment(os.environ, python, name, folder, devices),
                    **({"SFT_STUDIO_RESUME": resume_from} if resume_from else {}),
                },
                folder=folder,
                log=subprocess.STDOUT,
            )
        except OSError:
            self._end_listening()
            raise
        self._reader = threading.Thread(target=self._read_output, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process.is_running:
            self._process.terminate(_GRACE_SECONDS)
        self._process.close()
        self._end_listening()
        # What it has started in sessions of their own, as launchers do, ends with its line.
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative is the signal that ended it."""
        return self._process.exit_code

    def messages(self, wait_seconds: float) -> list[dict[str, Any]]:
        """What the observer told; waits at most so long for the first."""
        found: list[dict[str, Any]] = []
        with suppress(queue.Empty):
            found.append(self._messages.get(timeout=wait_seconds))
            while True:
                found.append(self._messages.get_nowait())
        return found

    def last_messages(self) -> list[dict[str, Any]]:
        """The rest, once it has ended; all that it printed is in `printed` by then."""
        deadline = time.monotonic() + _REST_SECONDS
        self._reader.join(_REST_SECONDS)
        self._take_who_has_called(deadline)
        while self._connections and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.messages(0.01)

    def send(self, command: Mapping[str, Any]) -> None:
        """A line to every process of the tool. One that is gone does not mind."""
        line = json.dumps(command).encode() + b"\n"
        for connection in list(self._connections):
            with suppress(OSError):
                connection.sendall(line)

    def _take_who_has_called(self, deadline: float) -> None:
        """A process that has called, told all and ended may wait to be taken on a busy machine: each has its turn, so a call after its
        own is the last one to be taken."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line, suppress(OSError):
            line.settimeout(max(0.0, deadline - time.monotonic()))
            line.connect(self._address)
            self._called_myself.wait(max(0.0, deadline - time.monotonic()))

    def _accept(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            caller, user = _who_called(connection)
            if caller == os.getpid():
                self._called_myself.set()
            if caller == os.getpid() or user != os.geteuid():
                connection.close()
                continue
            self._connections.append(connection)
            threading.Thread(target=self._read_observer, args=(connection,), daemon=True).start()

    def _read_observer(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as lines:
                for line in lines:
                    self._messages.put(json.loads(line))
        except (OSError, ValueError):
            # Killed in the middle of a line.
            pass
        finally:
            self._connections.remove(connection)

    def _read_output(self) -> None:
        while words := self._process.read_words(_LINE_BYTES):
            text = words.decode("utf-8", "replace")
            # Of a line that was written over again and again, what stood there at the end.
            self.printed.append(text.rstrip().rpartition("\r")[2])
            sys.stderr.write(text)

    def _end_listening(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _who_called(connection: socket.socket) -> tuple[int, int]:
    """Its process and its user: everybody on the machine can see the socket's name, and no folder keeps them away."""
    size = struct.calcsize("3i")
    process, user, _group = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    return process, user


def tool_environment(
    inherited: Mapping[str, str], python: Path, observer: str, folder: Path, devices: int = 1
) -> dict[str, str]:
    """What the tool's process is given: its own programs first, the observer, a GPU for each process, no word to anybody; and a place
    below `folder` for copies of the data, which would outlive run and erasure where everybody's are."""
    kept = {name: value for name, value in inherited.items() if not name.startswith(_NOT_HANDED_ON)}
    # This program's own, which would hide the tool's.
    kept.pop("PYTHONHOME", None)
    kept.pop("VIRTUAL_ENV", None)
    visible = inherited.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(devices)))).split(",")
    return {
        **kept,
        **QUIETLY,
        "PATH": f"{python.parent}{os.pathsep}{inherited.get('PATH', '')}",
        "PYTHONPATH": str(OBSERVER),
        "HF_DATASETS_CACHE": str(folder.absolute() / DATASETS),
        # One process, one device, as the studio trains.
        "CUDA_VISIBLE_DEVICES": ",".join(visible[:devices]),
        "SFT_STUDIO_OBSERVER": observer,
    }
