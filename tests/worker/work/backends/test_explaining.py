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
# What torch 2 says of a checkpoint that finds no room: the system's own words are lost.
TORCH_ON_A_FULL_DISK = ["RuntimeError: [enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"]
# As torch's launcher ends when one of its processes has failed.
LAUNCHER = [
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:",
    "train.py FAILED",
    "Root Cause (first observed failure):",
    "  exitcode  : 1 (pid: 71)",
]

KILLED_BELOW = "  traceback : Signal 9 (SIGKILL) received by PID 71"
# The launcher ended it, as another one had failed.
OTHERS = "  traceback : Signal 15 (SIGTERM) received by PID 70"


@pytest.mark.parametrize(
    ("printed", "exit_code", "code", "said"),
    [
        (TRACEBACK[:4], 1, "backend_failed", "stopped before it was done: ValueError: Target modules {'w_pack'} not found"),
        ([*TRACEBACK[:4], "", "  "], 1, "backend_failed", "ValueError: Target modules"),
        (["│ RuntimeError: boxed │"], 1, "backend_failed", "RuntimeError: boxed. The log"),
        (["torch.OutOfMemoryError: CUDA out of memory."], 1, "out_of_memory", "GPU's memory ran out for Axolotl (torch.OutOfMemoryError"),
        (["OSError: [Errno 12] Cannot allocate memory"], 1, "out_of_memory", "ran out of memory (OSError: [Errno 12]"),
        # Aborted, with a stack after the words.
        (["memory allocation of 2097152 bytes failed", "Aborted"], -6, "out_of_memory", "2097152 bytes failed). The machine has"),
        (["what():  std::bad_alloc", "Fatal Python error"], -6, "out_of_memory", "ran out of memory (what():  std::bad_alloc)"),
        (["cannot allocate memory for thread-local data: ABORT"], 127, "out_of_memory", "ran out of memory (cannot allocate"),
        (["OpenBLAS error: Memory allocation still failed after 10 retries, giving up."], 1, "out_of_memory", "(OpenBLAS error"),
        (["OSError: [Errno 28] No space left on device"], 1, "disk_full", "filled up while Axolotl trained"),
        (["OSError: [Errno 122] Disk quota exceeded"], 1, "disk_full", "filled up while Axolotl trained"),
        (TORCH_ON_A_FULL_DISK, 1, "disk_full", "filled up while Axolotl trained"),
        (["ModuleNotFoundError: No module named 'fire.core'"], 1, "not_installed", "lacks the module fire.core"),
        (["step 4"], -9, "killed", "was killed (signal SIGKILL). Often that is the machine's memory"),
        (["step 4"], -11, "died", "Axolotl crashed (signal SIGSEGV)"),
        ([*TRACEBACK[:4], *LAUNCHER], 1, "backend_failed", "ValueError: Target modules"),
        ([*LAUNCHER, KILLED_BELOW], 1, "killed", "was killed (signal SIGKILL)"),
        ([*TRACEBACK[:4], OTHERS, *LAUNCHER], 1, "backend_failed", "ValueError: Target modules"),
        (["Usage: axolotl [OPTIONS]"], 2, "backend_failed", "Usage: axolotl [OPTIONS]. The log"),
        ([], 3, "backend_failed", "exit code 3"),
    ],
)  # fmt: skip
def test_the_reason_is_found_in_what_was_printed(
    printed: list[str], exit_code: int, code: str, said: str
) -> None:
    failed = explain("Axolotl", exit_code, printed, for_memory=None)
    assert failed.code == FailureCode(code)
    assert said in str(failed)
    assert failed.again is None


@pytest.mark.parametrize(
    ("printed", "exit_code"),
    [(["step 4"], -9), (["MemoryError", "step 4"], -9), ([*LAUNCHER, KILLED_BELOW], 1)],
)
def test_a_killed_tool_is_told_from_one_that_took_too_much_memory_by_what_the_kernel_counts(
    printed: list[str], exit_code: int
) -> None:
    for_memory = explain("Axolotl", exit_code, printed, for_memory=True)
    assert (for_memory.code, for_memory.again) == ("killed", None)
    assert "memory ran out, and the system killed Axolotl (signal SIGKILL): lower the batch" in str(
        for_memory
    )
    by_somebody = explain("Axolotl", exit_code, printed, for_memory=False)
    assert by_somebody.code == "died"
    assert "Axolotl was ended from outside (signal SIGKILL)" in str(by_somebody)
    assert by_somebody.again is not None
    assert "Another attempt goes on, once" in by_somebody.again.english()
