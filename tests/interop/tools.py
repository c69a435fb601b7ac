"""The other trainers, each in an environment of its own: installed, started, watched."""

import json
import os
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from app.interop.handing import Tool
from tests.interop.material import Trained
from worker.work.child import NICENESS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SECONDS_AT_MOST = 3600
QUIETLY = {
    # Nothing is fetched, and nobody is told.
    "HF_HUB_OFFLINE": "1",
    "AXOLOTL_DO_NOT_TRACK": "1",
    "UNSLOTH_DISABLE_STATISTICS": "1",
    # The environments hold the versions that train on a CPU, which are not all those that the tools ask for.
    "DISABLE_VERSION_CHECK": "1",
}


class ToolFailed(RuntimeError):
    """The tool ended otherwise than well; the message is the end of what it said."""


def python_of(tool: Tool) -> Path:
    """The interpreter whose environment holds the tool. TRL is part of the project's own."""
    if tool == "trl":
        return Path(sys.executable)
    return environments() / tool / "bin" / "python"


def environments() -> Path:
    """Where `tests/interop/install` puts them."""
    return Path(os.environ.get("SFT_STUDIO_INTEROP_ENVS") or ROOT / ".interop")


def install(tool: Tool) -> None:
    """Make the tool's environment, quick where it is there."""
    subprocess.run([str(HERE / "install"), tool, str(environments() / tool)], check=True)


def run(tool: Tool, command: str, folder: Path, observed: Path | None = None) -> None:
    """A command of an export's README in its folder. Raises ToolFailed."""
    programs = python_of(tool).parent
    words = shlex.split(command)
    words[0] = str(programs / words[0])
    # As jobs of the studio run, so that speeds compare on a machine that does other things too.
    words = ["nice", "-n", str(NICENESS), *words]
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        **QUIETLY,
    }
    if observed is not None:
        environment |= {"PYTHONPATH": str(HERE / "observer"), "SFT_STUDIO_OBSERVED": str(observed)}
    log = folder.parent / f"{folder.name}.log"
    with log.open("ab") as file:
        ended = subprocess.run(
            words, cwd=folder, env=environment, stdout=file, stderr=file, timeout=SECONDS_AT_MOST, check=False
        )
    if ended.returncode:
        raise ToolFailed(f"{tool}: {command}: " + log.read_text("utf-8", "replace")[-3000:])


def train(tool: Tool, command: str, folder: Path) -> Trained:
    """Run an export's command and read what was observed meanwhile."""
    observed = folder.parent / f"{folder.name}.jsonl"
    run(tool, command, folder, observed)
    found, ended = Trained(), []
    for line in observed.read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["event"] == "batch":
            rows = zip(row["input_ids"], row["labels"], row["kept"], strict=True)
            found.batches.append([_without_padding(*one) for one in rows])
            ended = ended or [row["at"]]
        elif row["event"] == "loss":
            found.losses[row["step"]] = row["loss"]
            ended.append(row["at"])
        elif row["event"] == "held_out":
            found.held_out[row["step"]] = row["loss"]
        else:
            found.peak_memory_bytes = max(found.peak_memory_bytes, row["peak_memory_bytes"])
    found.seconds = [after - before for before, after in pairwise(ended)]
    return found


def _without_padding(ids: list[int], labels: list[int], kept: list[bool]) -> tuple[list[int], list[int]]:
    return (
        [one for one, flag in zip(ids, kept, strict=True) if flag],
        [one for one, flag in zip(labels, kept, strict=True) if flag],
    )
