"""Why one of several processes that train a run ended, or does not come to where the others wait for it, in a sentence."""

import json
from pathlib import Path
from typing import Final

from app.sentences import N_, Failure, FailureCode, Sentence
from worker.exits import Words, judge, refused_memory
from worker.memory_kills import MemoryKills
from worker.want_of_memory import end_of_own_log
from worker.work.protocol import JobFailed

_KILLED: Final = N_(
    "Process %(rank)d of %(size)d was killed (signal %(signal)s). Often that is the machine's memory running out: use a smaller batch or "
    "fewer processes."
)
_MEMORY: Final = N_(
    "The machine's memory ran out, and the system killed process %(rank)d of %(size)d (signal %(signal)s): use a smaller batch, gradient "
    "checkpointing, or fewer processes."
)
_FROM_OUTSIDE: Final = N_(
    "Process %(rank)d of %(size)d was ended from outside (signal %(signal)s), and not by the system for want of memory: by a person, or by "
    "a program that watches over this machine. Its log says by which."
)
_CRASHED: Final = N_("Process %(rank)d of %(size)d crashed (signal %(signal)s). The log says more.")
_DIED: Final = N_("Process %(rank)d of %(size)d ended unexpectedly (exit code %(code)d). The log says more.")
_AGAIN: Final = N_(
    "Process %(rank)d of %(size)d was killed (signal %(signal)s), and not by the system for want of memory. Another attempt goes on, once, "
    "from the newest checkpoint if there is one."
)
_HANGS: Final = N_(
    "Process %(rank)d of %(size)d hangs: the others wait for it, and it has computed nothing for %(minutes)d minutes. The log says where "
    "it stood, if it could still tell."
)
_HANGS_AGAIN: Final = N_(
    "Process %(rank)d of %(size)d hangs: it has computed nothing for %(minutes)d minutes. Another attempt goes on, once, from the newest "
    "checkpoint if there is one."
)
_LATE: Final = N_(
    "The others have waited for process %(rank)d of %(size)d for %(minutes)d minutes, and it is still computing. Something else may "
    "slow it down (on a GPU of its own, look at that one); fewer processes, or a smaller batch, make the shares smaller."
)
_REFUSED: Final = N_(
    "The memory ran out for process %(rank)d of %(size)d (%(detail)s). This machine has %(memory)s, which all that runs on it shares: use "
    "a smaller batch, gradient checkpointing, or fewer processes."
)
_OF_PROCESS: Final = Words(_MEMORY, _KILLED, _FROM_OUTSIDE, _AGAIN, _CRASHED, _REFUSED)


def failure_file(folder: Path | None, rank: int) -> Path | None:
    """Where a process says why it failed."""
    return folder / f"failure-{rank}.json" if folder else None


def has_ended(folder: Path | None, rank: int, size: int, code: int, kills: MemoryKills) -> JobFailed:
    """With this exit code: in its own words where it left any in the group's `folder`; `kills` counts since the group began."""
    told = failure_file(folder, rank)
    if told is not None and told.is_file():
        failure = Failure.from_json(json.loads(told.read_text("utf-8")))
        return JobFailed(failure.code, failure.sentence)
    # It prints where this process does.
    if refused := refused_memory(code, _OF_PROCESS, end_of_own_log(), rank=rank, size=size):
        return JobFailed.of_exit(refused)
    if code >= 0:
        return JobFailed(FailureCode.DIED, _DIED, rank=rank, size=size, code=code)
    return JobFailed.of_exit(judge(-code, _OF_PROCESS, for_memory=kills.one_came(), rank=rank, size=size))


def hangs(rank: int, size: int, seconds: float) -> JobFailed:
    """For so long; another attempt may do better."""
    told = {"rank": rank, "size": size, "minutes": int(seconds / 60)}
    failed = JobFailed(FailureCode.STALLED, _HANGS, **told)
    failed.again = Sentence.of(_HANGS_AGAIN, **told)
    return failed


def is_late(rank: int, size: int, seconds: float) -> JobFailed:
    """So much later than the others."""
    return JobFailed(FailureCode.STALLED, _LATE, rank=rank, size=size, minutes=int(seconds / 60))
