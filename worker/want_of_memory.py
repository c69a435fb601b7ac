"""Whether a process had no memory left, by its own words, and how much there was for it.

A process that asks for more than it gets is told so by the system and goes on: most raise an error then, and what is written in C, C++
or Rust prints a line and aborts. Which line is up to whoever wrote it.
"""

import os
import re
import stat
from pathlib import Path
from typing import Final

from app.dialogue.limits import spoken_size
from app.jobs.processor import this_processor
from app.sentences import N_

RAN_OUT: Final = N_(
    "The memory ran out (%(detail)s). This machine has %(memory)s, which all that runs on it shares: try again when less runs beside it, "
    "or let a worker with more memory do it."
)
TRAINING_RAN_OUT: Final = N_(
    "The memory ran out (%(detail)s). This machine has %(memory)s, which all that runs on it shares. Use a smaller "
    "per_device_train_batch_size with more gradient_accumulation_steps, a shorter max_length, gradient_checkpointing or load_in_4bit."
)
GPU_RAN_OUT: Final = N_(
    "The GPU's memory ran out (%(detail)s). Try again when nothing else uses it, or let a worker whose GPU has more memory do it."
)
TRAINING_GPU_RAN_OUT: Final = N_(
    "The GPU's memory ran out (%(detail)s). Use a smaller per_device_train_batch_size with more gradient_accumulation_steps, a shorter "
    "max_length, gradient_checkpointing or load_in_4bit."
)
# As allocators, loaders of libraries, runtimes and CUDA's libraries say it; the system itself says the second for ENOMEM.
_SAID: Final = re.compile(
    r"""
    (can't|not|unable\ to|failed\ to)\ allocate\ .*memory
    | cannot\ allocate\ memory
    | unable\ to\ allocate\ .*\b[KMGT]i?B\b
    | (not\ enough|insufficient|out\ of|no\ more)\ (\w+\ )?memory
    | memory\ allocation\ (of\ \d+\ bytes\ failed|still\ failed|failure|failed)
    | std::bad_alloc
    | \bOutOfMemoryError\b
    | \b\w*MemoryError\b
    | failed\ to\ map\ segment\ from\ shared\ object(?!:\ (operation|permission))
    | unable\ to\ mmap\ \d+\ bytes
    | (CUBLAS|CUDNN)_STATUS_ALLOC_FAILED
    | Cuda\ failure\ 2\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
_OF_A_GPU: Final = re.compile(r"\bCUDA\b|CUBLAS|CUDNN|\bGPU\b|Cuda failure", re.IGNORECASE)
# Who says such words of the system's; what others raise may quote a conversation about computers.
_OF_THE_SYSTEM: Final = (RuntimeError, OSError, ImportError)
_OF_RUST: Final = ("Exception", "SafetensorError")
# A stack of C++ may stand below the line, and so may those of other threads.
LOOKED_AT_BYTES: Final = 2**15
_LINE_CHARACTERS: Final = 300


def told_in(printed: str) -> str | None:
    """The line of a process's last words that says it; None where none does."""
    for line in reversed(printed[-LOOKED_AT_BYTES:].splitlines()):
        if _SAID.search(line):
            return line.strip().rstrip(".")[:_LINE_CHARACTERS]
    return None


def is_told_by(error: BaseException) -> bool:
    """Whether an error says it, or one that it came from. torch's own class is known by name: nothing has to be imported to fail."""
    seen: BaseException | None = error
    while seen is not None:
        kind = type(seen).__name__
        if isinstance(seen, MemoryError) or kind == "OutOfMemoryError":
            return True
        if (isinstance(seen, _OF_THE_SYSTEM) or kind in _OF_RUST) and _SAID.search(str(seen)):
            return True
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return False


def is_of_a_gpu(said: str) -> bool:
    """Whether it was a GPU's memory."""
    return _OF_A_GPU.search(said) is not None


def memory_here() -> str:
    """How much a process can have on this machine at most, as people say it."""
    return spoken_size(this_processor().memory)


def end_of(log: Path) -> str:
    """What was written last; nothing where it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOOKED_AT_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def end_of_own_log() -> str:
    """What this process and those that share its standard error wrote there last, where that is a file."""
    return end_of(Path("/proc/self/fd/2")) if stat.S_ISREG(os.fstat(2).st_mode) else ""
