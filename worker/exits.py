"""Why a process ended that left no word for who started it, and whether another attempt is worth it: by its exit code, by the kernel's
count of those it killed for memory, and by what it printed last. What is said of each end is for whoever started the process.
"""

import signal
from dataclasses import dataclass
from typing import Final

from app.sentences import Failure, FailureCode, Sentence
from worker import want_of_memory

# Signals that somebody else sends: they say nothing of what the process did.
SENT: Final = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT})


@dataclass(frozen=True)
class Words:
    """The templates, with %(signal)s: `memory` where the system killed it for memory, `perhaps_memory` where that is not counted, `outside`
    where somebody ended it, of which the job's log says `again`; `crashed` for any other signal. `refused`, with %(detail)s and
    %(memory)s, where the system gave it no more memory and it ended of that.
    """

    memory: str
    perhaps_memory: str
    outside: str
    again: str
    crashed: str
    refused: str


@dataclass(frozen=True)
class Exit:
    """Why it ended; `again` is said where another attempt may do better."""

    failure: Failure
    again: Sentence | None = None


def refused_memory(code: int, words: Words, printed: str, **values: object) -> Exit | None:
    """Of a process with this exit code, negative for a signal, by the end of what it printed; None where that does not say that it got no
    memory, or where somebody ended it. Another attempt would want as much.
    """
    if -code in SENT or (detail := want_of_memory.told_in(printed)) is None:
        return None
    values = {**values, "detail": detail, "memory": want_of_memory.memory_here()}
    return Exit(Failure.of(FailureCode.OUT_OF_MEMORY, words.refused, **values))


def judge(number: int, words: Words, *, for_memory: bool | None, **values: object) -> Exit:
    """Of a process that this signal has ended and that did not say why, by whether the system killed one for memory meanwhile (None: it
    does not tell). `values` fill the templates' other places.
    """
    values = {**values, "signal": signal_name(number)}
    if number not in SENT:
        return Exit(Failure.of(FailureCode.DIED, words.crashed, **values))
    if number == signal.SIGKILL and for_memory is not False:
        template = words.memory if for_memory else words.perhaps_memory
        return Exit(Failure.of(FailureCode.KILLED, template, **values))
    return Exit(Failure.of(FailureCode.DIED, words.outside, **values), Sentence.of(words.again, **values))


def signal_name(number: int) -> str:
    """As people know it; signals without a name, such as those of real time, by their number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
