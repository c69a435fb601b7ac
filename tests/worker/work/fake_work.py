"""Work for the tests of the child process: does at once whatever the job's input asks for."""

import gc
import os
import signal
import sys
import time
from pathlib import Path

from pydantic import ConfigDict

from app.core.stored_models import StoredModel
from app.jobs.events import Emit
from app.jobs.work import JobInput
from app.sentences import FailureCode
from tests.support.no_memory import abort_for_memory
from worker.exits import Words, judge
from worker.work.protocol import Control, JobFailed, log


class Asked(JobInput):
    do: str


class Done(StoredModel):
    """Whatever is handed back."""

    model_config = ConfigDict(extra="allow")


def run(job: Asked, output_dir: Path, emit: Emit, control: Control) -> Done:
    match job.do:
        case "print":
            print("a library prints")
            os.write(1, b"C code prints\n")
            emit("metric", step=1, loss=float("nan"), grad_norm=float("inf"), text="谈价")
            return Done(kept=True)
        case "chatter":
            print("a library prints")
            return Done(kept=True)
        case "wait":
            emit("phase", phase="training")
            while control.stop_requested is None:
                time.sleep(0.01)
            control.raise_if_cancelled()
            return Done(stopped_early=control.stop_requested == "save")
        case "tell_niceness":
            return Done(niceness=os.nice(0))
        case "tell_of_garbage":
            return Done(
                collected=gc.isenabled(),
                looked_through=len(gc.get_objects()),
                passed_over=gc.get_freeze_count(),
            )
        case "fail":
            raise JobFailed(FailureCode.CONFIG_INVALID, "The field %(field)s is not known.", field="lr")
        case "lose_a_process":
            words = Words("", "", "Ended by %(signal)s.", "Again after %(signal)s.", "", "")
            raise JobFailed.of_exit(judge(signal.SIGTERM, words, for_memory=False))
        case "fail_with_values":
            raise JobFailed(
                FailureCode.MODEL_MISSING, "%(path)s: %(what)s", path=Path("/a/b\udcff"), what=object
            )
        case "emit_values":
            log(emit, "info", "Reads %(path)s.", path=Path("/a"))
            emit("checkpoint", step=1, path=Path("/a/b\udcff"))
            return Done(path=Path("/c"))
        case "crash":
            raise KeyError("somewhere\nand more")
        case "memory":
            raise MemoryError
        case "torch_memory":
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried"
            )
        case "abort_for_memory":
            abort_for_memory()
        case "load_for_memory":
            told = MemoryError("Cannot allocate memory (os error 12)")
            raise JobFailed(FailureCode.MODEL_UNUSABLE, "The file is broken.") from told
        case "disk":
            raise OSError(28, "No space left on device")
    sys.exit("unknown test work")
