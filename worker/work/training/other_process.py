"""One of the other processes of a run: `python -m worker.work.training.other_process FOLDER RANK SIZE`.

It goes the same way as the job's own child, which started it, and says nothing: what it has to tell goes through the
process group, and why it failed into a file. Its standard input ends when that child does, and then so does this.
"""

import faulthandler
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from app.masking import turn_off_library_threads
from app.runs.work import TrainInput
from app.sentences import SentenceError
from worker.effort import ASKS_WHERE
from worker.work.child import EXIT_FAILED, EXIT_ORPHANED, failure_of, quieten_libraries
from worker.work.protocol import Control, read_document
from worker.work.training import sft
from worker.work.training.devices import training_device
from worker.work.training.process_ends import failure_file
from worker.work.training.process_group import JOB, ProcessGroup


def _silent(_kind: str, /, **_payload: Any) -> None:
    """Events are the first process's."""


def _end_with_the_first() -> None:
    sys.stdin.buffer.read()
    os._exit(EXIT_ORPHANED)


def main(arguments: list[str]) -> int:
    """Take part in the run whose job lies in the folder; returns the exit code."""
    folder, rank, size = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    # Where it stands, for the log, when the first one finds that it does.
    faulthandler.register(ASKS_WHERE)
    turn_off_library_threads()
    quieten_libraries()
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    group = ProcessGroup(rank, size, folder)
    try:
        job = read_document(TrainInput, json.loads((folder / JOB).read_text("utf-8")))
        group.join(training_device())
        sft.train(job, folder / f"process-{rank}", _silent, Control(), group)
    except Exception as error:  # noqa: BLE001 - the first process tells what it was
        _tell(folder, rank, failure_of(error, folder, trains=True))
        return EXIT_FAILED
    return 0


def _tell(folder: Path, rank: int, failure: SentenceError) -> None:
    place = failure_file(folder, rank)
    assert place is not None
    fresh = place.with_suffix(".new")
    fresh.write_text(json.dumps(failure.failure.to_json()), "utf-8")
    fresh.replace(place)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # Not sys.exit: at shutdown the interpreter would wait for the thread that reads standard input.
    sys.stderr.flush()
    os._exit(code)
