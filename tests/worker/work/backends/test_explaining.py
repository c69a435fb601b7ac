"""Why a tool ended is one sentence, whatever it printed around it."""

import pytest

from app.sentences import FailureCode
from worker.work.backends.explaining import explain

TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "train.py", line 3, in <module>',
    "    main()",
    "ValueError: Target modules {'w_pack'} not found in the base model.",
    "Exception ignored in: <function Pool.__del__>",
]
# As torch's launcher ends when one of its processes has failed.
LAUNCHER = [
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:",
    "train.py FAILED",
    "Root Cause (first observed failure):",
    "  exitcode  : 1 (pid: 71)",
]

# The launcher ended it, as another one had failed.
OTHERS = "  traceback : Signal 15 (SIGTERM) received by PID 70"


@pytest.mark.parametrize(
    ("printed", "exit_code", "code", "said"),
    [
        (TRACEBACK[:4], 1, "backend_failed", "stopped before it was done: ValueError: Target modules {'w_pack'} not found"),
        ([*TRACEBACK[:4], "", "  "], 1, "backend_failed", "ValueError: Target modules"),
        (["│ RuntimeError: boxed │"], 1, "backend_failed", "RuntimeError: boxed. The log"),
        (["torch.OutOfMemoryError: CUDA out of memory."], 1, "out_of_memory", "ran out of memory (torch.OutOfMemoryError"),
        (["OSError: [Errno 28] No space left on device"], 1, "disk_full", "filled up while Axolotl trained"),
        (["ModuleNotFoundError: No module named 'fire.core'"], 1, "not_installed", "lacks the module fire.core"),
        (["step 4"], -9, "killed", "was killed (signal 9)"),
        ([*TRACEBACK[:4], *LAUNCHER], 1, "backend_failed", "ValueError: Target modules"),
        ([*LAUNCHER, "  traceback : Signal 9 (SIGKILL) received by PID 71"], 1, "killed", "was killed (signal 9)"),
        ([*TRACEBACK[:4], OTHERS, *LAUNCHER], 1, "backend_failed", "ValueError: Target modules"),
        (["Usage: axolotl [OPTIONS]"], 2, "backend_failed", "Usage: axolotl [OPTIONS]. The log"),
        ([], 3, "backend_failed", "exit code 3"),
    ],
)  # fmt: skip
def test_the_reason_is_found_in_what_was_printed(
    printed: list[str], exit_code: int, code: str, said: str
) -> None:
    failed = explain("Axolotl", exit_code, printed)
    assert failed.code == FailureCode(code)
    assert said in str(failed)
