"""How a child process ended, as a failure that names the likely cause, and whether another attempt is worth it."""

import signal
from dataclasses import dataclass
from typing import Final

from app.jobs.models import JobKind
from app.sentences import N_, Failure, FailureCode, Sentence

KILLED: Final = N_(
    "The process was killed (signal %(signal)s). Often that is the machine's memory running out: try again when less runs beside it."
)
TRAINING_KILLED: Final = N_(
    "The process was killed (signal %(signal)s). Often that is the machine's memory running out: lower the batch size or max_length."
)
MEMORY: Final = N_(
    "The machine's memory ran out, and the system killed the process (signal %(signal)s): try again when less runs beside it."
)
TRAINING_MEMORY: Final = N_(
    "The machine's memory ran out, and the system killed the process (signal %(signal)s): lower the batch size or max_length, or switch "
    "gradient checkpointing on."
)
FROM_OUTSIDE: Final = N_(
    "The process was ended from outside (signal %(signal)s), and not by the system for want of memory: by a person, or by a program that "
    "watches over this machine. Its log says by which."
)
CRASHED: Final = N_("The process crashed (signal %(signal)s). The log says more.")
DIED: Final = N_("The process ended unexpectedly (exit code %(code)d). The log says more.")
AGAIN: Final = N_(
    "The process was killed (signal %(signal)s), and not by the system for want of memory. Another attempt goes on, once, from the newest "
    "checkpoint if there is one."
)

_SENT: Final = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT})


@dataclass(frozen=True)
class Exit:
    """Why it ended; `again` is said where another attempt may do better."""

    failure: Failure
    again: Sentence | None = None


def judge_exit(code: int, kind: JobKind, *, for_memory: bool | None) -> Exit:
    """Of a process that ended otherwise than well: its exit code, negative for a signal, and whether the system killed one for memory
    meanwhile (None: it does not tell).
    """
    if code >= 0:
        return Exit(Failure.of(FailureCode.DIED, DIED, code=code))
    name = signal.Signals(-code).name
    if -code not in _SENT:
        return Exit(Failure.of(FailureCode.DIED, CRASHED, signal=name))
    trains = kind is JobKind.TRAIN
    if -code == signal.SIGKILL and for_memory:
        template = TRAINING_MEMORY if trains else MEMORY
        return Exit(Failure.of(FailureCode.KILLED, template, signal=name))
    if -code == signal.SIGKILL and for_memory is None:
        template = TRAINING_KILLED if trains else KILLED
        return Exit(Failure.of(FailureCode.KILLED, template, signal=name))
    return Exit(Failure.of(FailureCode.DIED, FROM_OUTSIDE, signal=name), Sentence.of(AGAIN, signal=name))


def judge_below(failure: Failure, kind: JobKind, *, for_memory: bool | None) -> Exit:
    """Of a process that the child had started, another tool's or one of several that train, and whose end it lived to tell: `failure`
    has the signal, or the exit code. Where nothing else is known the child's own words stay, which name the process.
    """
    values = failure.sentence.values
    number = int(str(values.get("signal") or 0)) or -int(str(values.get("code") or 0))
    if number <= 0 or (number == signal.SIGKILL and for_memory is None):
        return Exit(failure)
    return judge_exit(-number, kind, for_memory=for_memory)
