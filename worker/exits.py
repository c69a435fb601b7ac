"""Why a signal ended a process, which leaves no word of its own then, and whether another attempt is worth it: by the signal and by the
kernel's count of those it killed for memory. What is said of each end is for whoever started the process.
"""

import signal
from dataclasses import dataclass
from typing import Final

from app.sentences import Failure, FailureCode, Sentence

_SENT: Final = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT})


@dataclass(frozen=True)
class Words:
    """The templates, with %(signal)s: `memory` where the system killed it for memory, `perhaps_memory` where that is not counted, `outside`
    where somebody ended it, of which the job's log says `again`; `crashed` for any other signal.
    """

    memory: str
    perhaps_memory: str
    outside: str
    again: str
    crashed: str


@dataclass(frozen=True)
class Exit:
    """Why it ended; `again` is said where another attempt may do better."""

    failure: Failure
    again: Sentence | None = None


def judge(number: int, words: Words, *, for_memory: bool | None, **values: object) -> Exit:
    """Of a process that this signal has ended, by whether the system killed one for memory meanwhile (None: it does not tell). `values`
    fill the templates' other places.
    """
    values = {**values, "signal": signal_name(number)}
    if number not in _SENT:
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
