"""Work for the tests of the child process: does at once whatever the job's input asks for."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from app.jobs.events import Emit
from app.sentences import FailureCode
from worker.work.protocol import Control, JobFailed, log


def run(input: dict[str, Any], output_dir: Path, emit: Emit, control: Control) -> dict[str, Any]:
    match input["do"]:
        case "print":
            print("a library prints")
            os.write(1, b"C code prints\n")
            emit("metric", step=1, loss=float("nan"), grad_norm=float("inf"), text="谈价")
            return {"kept": True}
        case "wait":
            emit("phase", phase="training")
            deadline = time.monotonic() + 30
            while control.stop_requested is None and time.monotonic() < deadline:
                time.sleep(0.01)
            control.raise_if_cancelled()
            return {"stopped_early": control.stop_requested == "save"}
        case "tell_niceness":
            return {"niceness": os.nice(0)}
        case "fail":
            raise JobFailed(FailureCode.CONFIG_INVALID, "The field %(field)s is not known.", field="lr")
        case "fail_with_values":
            raise JobFailed(
                FailureCode.MODEL_MISSING, "%(path)s: %(what)s", path=Path("/a/b\udcff"), what=object
            )
        case "emit_values":
            log(emit, "info", "Reads %(path)s.", path=Path("/a"))
            emit("checkpoint", step=1, path=Path("/a/b\udcff"))
            return {"path": Path("/c")}
        case "crash":
            raise KeyError("somewhere\nand more")
        case "memory":
            raise MemoryError
        case "torch_memory":
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried"
            )
        case "disk":
            raise OSError(28, "No space left on device")
    sys.exit("unknown test work")
