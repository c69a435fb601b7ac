"""The process that does one job: `python -m worker.work.child JOB.json`.

Events go out as JSON lines on what was standard output at the start; whatever libraries print goes to
standard error. Control comes in on standard input; its end means that the parent is gone, and so is this.
"""

import faulthandler
import gc
import importlib
import io
import json
import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, get_type_hints

from app.files import tells_full_disk
from app.jobs.events import Ending
from app.jobs.models import JobKind
from app.masking import turn_off_library_threads
from app.sentences import N_, FailureCode, SentenceError, plain_json
from worker import want_of_memory
from worker.effort import ASKS_WHERE
from worker.work.device_errors import device_failure
from worker.work.libraries import nothing_collected
from worker.work.protocol import (
    Cancelled,
    Control,
    JobFailed,
    Paused,
    Work,
    read_document,
)

# Imported when the job asks for it: torch takes seconds, and no job needs all of it.
WORK_MODULES = {
    "import": "worker.work.importing",
    "train": "worker.work.train",
    "prepare_base_model": "worker.work.preparing",
    "check_masks": "worker.work.mask_check",
    "evaluate": "worker.work.evaluation.judge",
    "export": "worker.work.exporting.work",
    "push": "worker.work.exporting.push",
}
# A job may use every core; pages, and answers in the playground, come first where they share them with it.
NICENESS = 10
EXIT_FAILED = 1
EXIT_ORPHANED = 3

DISK_FULL = N_("The disk is full: free some space under %(folder)s and start again.")
NOT_INSTALLED = N_(
    "This work needs %(module)s, which is not installed where the worker runs: install sft-studio there with its extra, "
    "as in pip install 'sft-studio[train]', and start the worker again."
)
UNEXPECTED = N_("The job stopped on an unexpected %(kind)s: %(detail)s. The log has the details.")


# Events of the work and, at the end, an `Ending`.
Tell = Callable[..., None]


class EventStream:
    """Writes events, one JSON object a line, from any thread."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def emit(self, event: str, /, **payload: Any) -> None:
        line = json.dumps({"event": event, **plain_json(payload)}, ensure_ascii=False, allow_nan=False)
        try:
            with self._lock:
                self._stream.write(line + "\n")
                self._stream.flush()
        except BrokenPipeError:
            os._exit(EXIT_ORPHANED)


class _Log(io.RawIOBase):
    """Standard error, a file on a disk that may be full: what finds no room there is dropped, and the work goes on."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def write(self, data: Any) -> int:
        left = memoryview(data)
        with suppress(OSError):
            while left:
                left = left[os.write(2, left) :]
        return len(data)


def take_standard_output() -> EventStream:
    """Keep standard output for events alone; anything else that is printed, by C code too, goes to stderr."""
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    kept = io.BufferedWriter(_Log())
    sys.stdout = sys.stderr = io.TextIOWrapper(kept, "utf-8", "backslashreplace", line_buffering=True)
    return EventStream(protocol)


def watch_control(stream: IO[bytes], control: Control) -> None:
    """Read control lines until the stream ends, which ends the process."""
    for line in stream:
        try:
            stop = json.loads(line).get("stop")
        except (ValueError, AttributeError):
            stop = None
        if stop in ("cancel", "save", "pause"):
            control.request_stop(stop)
        elif line.strip():
            print(f"control line not understood: {line[:200]!r}", file=sys.stderr)  # noqa: T201
    os._exit(EXIT_ORPHANED)


def work_function(kind: str) -> Work:
    if kind not in WORK_MODULES:
        raise JobFailed(
            FailureCode.JOB_MALFORMED, N_("There is no work of the kind %(kind)s."), kind=str(kind)
        )
    with nothing_collected():
        work: Work = importlib.import_module(WORK_MODULES[kind]).run
    # What modules consist of stays to the end: who looks for garbage later, as trainers do at every start, need not look through it.
    gc.freeze()
    return work


def quieten_libraries() -> None:
    """Who reads the output looks for what went wrong: advice to the libraries' own authors is not that."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def run_job(job: dict[str, Any], emit: Tell, control: Control) -> int:
    """Do the job and tell how it ended; returns the exit code."""
    output_dir = Path(job["output_dir"])
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        work = work_function(job["kind"])
        result = work(read_document(get_type_hints(work)["job"], job["input"]), output_dir, emit, control)
    except Cancelled:
        emit(Ending.CANCELLED)
        return 0
    except Paused:
        emit(Ending.PAUSED)
        return 0
    except Exception as error:  # noqa: BLE001 - whatever it is, the person who waits gets a sentence
        _emit_failed(emit, failure_of(error, output_dir, trains=job["kind"] == JobKind.TRAIN))
        return EXIT_FAILED
    emit(Ending.RESULT, **result.to_json())
    return 0


def _emit_failed(emit: Tell, failure: SentenceError) -> None:
    again = failure.again if isinstance(failure, JobFailed) else None
    emit(Ending.FAILED, **failure.failure.to_json(), **({"again": again.to_json()} if again else {}))


def failure_of(error: Exception, output_dir: Path, *, trains: bool) -> SentenceError:
    """The failure in its own sentence, or in ours; what nobody expected is in the log then."""
    if not isinstance(error, SentenceError):
        traceback.print_exc(file=sys.stderr)
        return explain(error, output_dir, trains=trains)
    cause = error.__cause__
    if isinstance(cause, Exception) and want_of_memory.is_told_by(cause):
        # What could not be loaded for want of memory is not broken, though that is how whoever loads it takes it.
        traceback.print_exc(file=sys.stderr)
        return explain(cause, output_dir, trains=trains)
    return error


def explain(error: Exception, output_dir: Path, *, trains: bool) -> JobFailed:
    """One sentence for an error that the work did not expect. `trains`: settings of a run are what may help."""
    first_line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    kind = type(error).__name__
    detail = first_line[:300].rstrip(".")
    if want_of_memory.is_told_by(error):
        return _out_of_memory(str(error), want_of_memory.told_in(str(error)) or detail or kind, trains=trains)
    if (failed := device_failure(error)) is not None:
        return failed
    if isinstance(error, ModuleNotFoundError) and error.name:
        return JobFailed(FailureCode.NOT_INSTALLED, NOT_INSTALLED, module=error.name.partition(".")[0])
    if tells_full_disk(error):
        return JobFailed(FailureCode.DISK_FULL, DISK_FULL, folder=str(output_dir))
    return JobFailed(FailureCode.UNEXPECTED, UNEXPECTED, kind=kind, detail=detail or kind)


def _out_of_memory(said: str, detail: str, *, trains: bool) -> JobFailed:
    """What there was, and what to do. torch's own words, the detail, tell what a GPU had."""
    if want_of_memory.is_of_a_gpu(said):
        template = want_of_memory.TRAINING_GPU_RAN_OUT if trains else want_of_memory.GPU_RAN_OUT
        return JobFailed(FailureCode.OUT_OF_MEMORY, template, detail=detail)
    template = want_of_memory.TRAINING_RAN_OUT if trains else want_of_memory.RAN_OUT
    return JobFailed(FailureCode.OUT_OF_MEMORY, template, detail=detail, memory=want_of_memory.memory_here())


def main(arguments: list[str]) -> int:
    turn_off_library_threads()
    events = take_standard_output()
    control = Control()
    if len(arguments) != 1:
        _emit_failed(
            events.emit,
            JobFailed(FailureCode.JOB_MALFORMED, N_("Usage: python -m worker.work.child JOB.json")),
        )
        return EXIT_FAILED
    try:
        job = json.loads(Path(arguments[0]).read_text("utf-8"))
        missing = sorted({"kind", "input", "output_dir"} - set(job))
    except (OSError, ValueError, TypeError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        unreadable = JobFailed(
            FailureCode.JOB_MALFORMED, N_("The job file %(path)s cannot be read."), path=arguments[0]
        )
        _emit_failed(events.emit, unreadable)
        return EXIT_FAILED
    if missing:
        _emit_failed(
            events.emit,
            JobFailed(
                FailureCode.JOB_MALFORMED, N_("The job file lacks %(fields)s."), fields=", ".join(missing)
            ),
        )
        return EXIT_FAILED
    os.nice(NICENESS)
    faulthandler.register(ASKS_WHERE)
    quieten_libraries()
    threading.Thread(target=watch_control, args=(sys.stdin.buffer, control), daemon=True).start()
    return run_job(job, events.emit, control)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # Not sys.exit: at shutdown the interpreter would wait for the thread that reads standard input.
    sys.stderr.flush()
    os._exit(code)
