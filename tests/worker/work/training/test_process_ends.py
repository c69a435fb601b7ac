"""Why one of several processes of a run ended is told by the first one."""

import signal
import subprocess
import sys

from app.sentences import FailureCode
from tests.support import no_memory
from worker.memory_kills import MemoryKills
from worker.want_of_memory import memory_here
from worker.work.training.process_ends import has_ended


def test_one_that_aborts_because_it_gets_no_memory_is_told_from_one_that_crashes() -> None:
    """It prints where the first one does, which is a file."""
    kills = MemoryKills.now()
    code = subprocess.run([sys.executable, no_memory.__file__], check=False).returncode
    assert code == -signal.SIGABRT
    failed = has_ended(None, 1, 2, code, kills)
    assert (failed.code, failed.again) == (FailureCode.OUT_OF_MEMORY, None)
    words = failed.sentence.english()
    assert words.startswith("The memory ran out for process 1 of 2 (memory allocation of")
    assert f"This machine has {memory_here()}" in words
