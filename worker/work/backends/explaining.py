"""Why another tool ended otherwise than well, in a sentence: from its exit code and from the end of what it printed."""

import os
import re
from collections.abc import Iterable
from typing import Final

from app.files import FULL
from app.sentences import N_, FailureCode, Sentence
from worker import want_of_memory
from worker.exits import SENT, Words, judge
from worker.work.protocol import JobFailed

_ENDED: Final = N_("%(tool)s stopped before it was done: %(detail)s. The log has all that it printed.")
_KILLED: Final = N_(
    "%(tool)s was killed (signal %(signal)s). Often that is the machine's memory running out: lower the batch size or max_length."
)
_MEMORY: Final = N_(
    "The machine's memory ran out, and the system killed %(tool)s (signal %(signal)s): lower the batch size or max_length, or switch "
    "gradient checkpointing on."
)
_FROM_OUTSIDE: Final = N_(
    "%(tool)s was ended from outside (signal %(signal)s), and not by the system for want of memory: by a person, or by a program that "
    "watches over this machine. Its log says by which."
)
_CRASHED: Final = N_("%(tool)s crashed (signal %(signal)s). The log has all that it printed.")
_AGAIN: Final = N_(
    "%(tool)s was killed (signal %(signal)s), and not by the system for want of memory. Another attempt goes on, once, from its newest "
    "checkpoint if there is one."
)
_NO_MEMORY: Final = N_(
    "%(tool)s ran out of memory (%(detail)s). The machine has %(memory)s, which all that runs on it shares. Use a smaller "
    "per_device_train_batch_size with more gradient_accumulation_steps, a shorter max_length, or gradient_checkpointing."
)
_NO_GPU_MEMORY: Final = N_(
    "The GPU's memory ran out for %(tool)s (%(detail)s). Use a smaller per_device_train_batch_size with more "
    "gradient_accumulation_steps, a shorter max_length, or gradient_checkpointing."
)
_DISK_FULL: Final = N_("The disk filled up while %(tool)s trained: free some space and start again.")
_NOT_INSTALLED: Final = N_(
    "The environment of %(tool)s lacks the module %(module)s: install it there, as %(tool)s asks for it, and start again."
)
NO_ADAPTER: Final = N_("%(tool)s ended without an adapter in safetensors: %(detail)s")
NO_MODEL: Final = N_("%(tool)s ended without a model in safetensors: %(detail)s")
_ENDED_EARLY: Final = N_(
    "%(tool)s ended by itself after step %(step)d of %(total)d, as if it had been told to (Axolotl does so when it is interrupted). The "
    "log has all that it printed."
)
_EARLY_AGAIN: Final = N_(
    "%(tool)s ended by itself after step %(step)d of %(total)d, as if it had been told to. Another attempt goes on, once, from its newest "
    "checkpoint if there is one."
)
_OF_TOOL: Final = Words(_MEMORY, _KILLED, _FROM_OUTSIDE, _AGAIN, _CRASHED, _NO_MEMORY)
# As the system says it of a disk, of somebody's share of it, and of a file; and torch, which keeps the system's words to itself.
_NO_ROOM: Final = (
    *(os.strerror(number) for number in sorted(FULL)),
    "PytorchStreamWriter failed writing file",
    "] . unexpected pos ",
)
# The last line of a traceback, also where it stands in a frame.
_RAISED: Final = re.compile(r"^[\s│|]*((?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b:? ?.*?)[\s│|]*$")
_MODULE: Final = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
# What torch's launcher says last: not why, but that one of its processes failed, and by which signal if it was one.
_OF_LAUNCHER: Final = "torch.distributed.elastic."
_SIGNAL: Final = re.compile(r"Signal (\d+) \(SIG\w+\) received by PID")
_FIRST_FAILURE: Final = "Root Cause"
_LONGEST: Final = 300


def explain(tool: str, exit_code: int, printed: Iterable[str], *, for_memory: bool | None) -> JobFailed:
    """`tool` is its name for people, `printed` the last lines of its output, `for_memory` whether the system killed a process for memory
    while it ran (None: it does not tell)."""
    lines = [line for line in list(printed) if line.strip()]
    detail = last_error(lines) or f"exit code {exit_code}"
    whole = "\n".join(lines)
    if module := _MODULE.search(detail):
        return JobFailed(FailureCode.NOT_INSTALLED, _NOT_INSTALLED, tool=tool, module=module[1])
    if any(words in whole for words in _NO_ROOM):
        return JobFailed(FailureCode.DISK_FULL, _DISK_FULL, tool=tool)
    # Of several processes the launcher ends the others by signals once one has failed.
    below = _SIGNAL.search(whole.rpartition(_FIRST_FAILURE)[2])
    signal = int(below[1]) if below else -exit_code
    # An error is the last thing that is said; of one that was aborted a stack may stand below its words.
    refused = want_of_memory.told_in(detail) or (want_of_memory.told_in(whole) if signal > 0 else None)
    if refused and signal not in SENT:
        return _no_memory(tool, refused)
    if signal > 0:
        return JobFailed.of_exit(judge(signal, _OF_TOOL, for_memory=for_memory, tool=tool))
    return JobFailed(FailureCode.BACKEND_FAILED, _ENDED, tool=tool, detail=detail)


def _no_memory(tool: str, detail: str) -> JobFailed:
    if want_of_memory.is_of_a_gpu(detail):
        return JobFailed(FailureCode.OUT_OF_MEMORY, _NO_GPU_MEMORY, tool=tool, detail=detail)
    memory = want_of_memory.memory_here()
    return JobFailed(FailureCode.OUT_OF_MEMORY, _NO_MEMORY, tool=tool, detail=detail, memory=memory)


def ended_early(tool: str, step: int, total: int) -> JobFailed:
    """It ended well in the middle of its steps, which somebody who interrupts it may bring about."""
    values = {"tool": tool, "step": step, "total": total}
    failed = JobFailed(FailureCode.BACKEND_FAILED, _ENDED_EARLY, **values)
    failed.again = Sentence.of(_EARLY_AGAIN, **values)
    return failed


def last_error(lines: list[str]) -> str:
    """The last exception that was printed, else the last line."""
    for line in reversed(lines):
        found = _RAISED.match(line)
        if found and not found[1].startswith(_OF_LAUNCHER):
            return found[1].strip().rstrip(".")[:_LONGEST]
    return lines[-1].strip().rstrip(".")[:_LONGEST] if lines else ""
