"""Why another tool ended otherwise than well, in a sentence: from its exit code and from the end of what it printed."""

import re
from collections.abc import Iterable
from typing import Final

from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed

_ENDED: Final = N_("%(tool)s stopped before it was done: %(detail)s. The log has all that it printed.")
_KILLED: Final = N_(
    "%(tool)s was killed (signal %(signal)d). Often that is the machine's memory running out: lower the batch size or max_length."
)
_NO_MEMORY: Final = N_(
    "%(tool)s ran out of memory (%(detail)s). Use a smaller per_device_train_batch_size with more "
    "gradient_accumulation_steps, a shorter max_length, or gradient_checkpointing."
)
_DISK_FULL: Final = N_("The disk filled up while %(tool)s trained: free some space and start again.")
_NOT_INSTALLED: Final = N_(
    "The environment of %(tool)s lacks the module %(module)s: install it there, as %(tool)s asks for it, and start again."
)
NO_ADAPTER: Final = N_("%(tool)s ended without an adapter in safetensors: %(detail)s")
NO_MODEL: Final = N_("%(tool)s ended without a model in safetensors: %(detail)s")
# The last line of a traceback, also where it stands in a frame.
_RAISED: Final = re.compile(r"^[\s│|]*((?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b:? ?.*?)[\s│|]*$")
_MODULE: Final = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
# What torch's launcher says last: not why, but that one of its processes failed, and by which signal if it was one.
_OF_LAUNCHER: Final = "torch.distributed.elastic."
_SIGNAL: Final = re.compile(r"Signal (\d+) \(SIG\w+\) received by PID")
_FIRST_FAILURE: Final = "Root Cause"
_LONGEST: Final = 300


def explain(tool: str, exit_code: int, printed: Iterable[str]) -> JobFailed:
    """`tool` is its name for people, `printed` the last lines of its output."""
    lines = [line for line in printed if line.strip()]
    detail = last_error(lines) or f"exit code {exit_code}"
    whole = "\n".join(lines)
    if module := _MODULE.search(detail):
        return JobFailed(FailureCode.NOT_INSTALLED, _NOT_INSTALLED, tool=tool, module=module[1])
    if "No space left on device" in whole:
        return JobFailed(FailureCode.DISK_FULL, _DISK_FULL, tool=tool)
    if any(
        words in detail
        for words in ("out of memory", "OutOfMemoryError", "can't allocate memory", "MemoryError")
    ):
        return JobFailed(FailureCode.OUT_OF_MEMORY, _NO_MEMORY, tool=tool, detail=detail)
    # Of several processes the launcher ends the others by signals once one has failed.
    below = _SIGNAL.search(whole.rpartition(_FIRST_FAILURE)[2])
    signal = int(below[1]) if below else -exit_code
    if signal > 0:
        return JobFailed(FailureCode.KILLED, _KILLED, tool=tool, signal=signal)
    return JobFailed(FailureCode.BACKEND_FAILED, _ENDED, tool=tool, detail=detail)


def last_error(lines: list[str]) -> str:
    """The last exception that was printed, else the last line."""
    for line in reversed(lines):
        found = _RAISED.match(line)
        if found and not found[1].startswith(_OF_LAUNCHER):
            return found[1].strip().rstrip(".")[:_LONGEST]
    return lines[-1].strip().rstrip(".")[:_LONGEST] if lines else ""
