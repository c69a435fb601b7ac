"""The other trainers, each in an environment of its own: installed, started, watched."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.interop.handing import Tool
from tests.interop.material import Trained
from worker.work.backends.explaining import explain
from worker.work.backends.tool_process import ToolProcess

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SECONDS_AT_MOST = 3600


def python_of(tool: Tool) -> Path:
    """The interpreter whose environment holds the tool. TRL is part of the project's own."""
    if tool == "trl":
        return Path(sys.executable)
    return environments() / tool / "bin" / "python"


def environments() -> Path:
    """Where `tests/interop/install` puts them."""
    return Path(os.environ.get("SFT_STUDIO_INTEROP_ENVS") or ROOT / ".interop")


def install(tool: str) -> None:
    """Make the environment of a tool, or of TRL with DeepSpeed; quick where it is there."""
    subprocess.run([str(HERE / "install"), tool, str(environments() / tool)], check=True)


def train(
    tool: Tool, command: str, folder: Path, after_step: Callable[[Trained], None] = lambda _trained: None
) -> Trained:
    """Run a command of an export's README in its folder, watched as the worker watches a backend. `after_step` gets all that
    was told until then. Raises JobFailed."""
    found = Trained()
    deadline = time.monotonic() + SECONDS_AT_MOST
    with ToolProcess(python_of(tool), shlex.split(command), folder) as process:
        while (code := process.exit_code) is None:
            for told in process.messages(0.2):
                if told["event"] == "prepared":
                    process.send({"go": True})
                _take(found, told)
                if told["event"] == "step":
                    after_step(found)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{tool}: {command}")
        for told in process.last_messages():
            _take(found, told)
        if code:
            raise explain(tool, code, process.printed, for_memory=process.kills.one_came())
    return found


def _take(found: Trained, told: dict[str, Any]) -> None:
    match told["event"]:
        case "batch":
            found.batches.append([(ids, labels) for ids, labels in told["rows"]])
        case "log":
            found.losses[told["step"]] = told["loss"]
            found.norms[told["step"]] = told["grad_norm"]
        case "held_out":
            found.held_out[told["step"]] = told["loss"]
        case "step":
            found.seconds.append(told["seconds"])
        case "end":
            found.peak_memory_bytes = told["peak_memory_bytes"]
