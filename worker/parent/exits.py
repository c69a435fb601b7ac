"""What is said of a job's child process that ended without a word of its own."""

from dataclasses import replace
from typing import Final

from app.jobs.models import JobKind
from app.sentences import N_, Failure, FailureCode, Sentence
from worker.exits import Exit, Words, judge, refused_memory
from worker.want_of_memory import RAN_OUT, TRAINING_RAN_OUT

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
CHAT_DIED: Final = N_("The chat process ended unexpectedly; ask again to start a new one.")
HANGS: Final = N_(
    "The job hangs: none of its processes has computed, read or written anything for %(minutes)d minutes. The log says where they stood, "
    "if they could still tell."
)
HANGS_AGAIN: Final = N_(
    "The job hung: none of its processes had computed, read or written anything for %(minutes)d minutes. Another attempt goes on, once, "
    "from the newest checkpoint if there is one."
)

_WORDS: Final = Words(MEMORY, KILLED, FROM_OUTSIDE, AGAIN, CRASHED, RAN_OUT)
# Whoever asks again has it begun again: nothing else is to be said of an end that was no want of memory.
_OF_CHAT: Final = replace(_WORDS, outside=CHAT_DIED, crashed=CHAT_DIED)
_OF_TRAINING: Final = replace(
    _WORDS, memory=TRAINING_MEMORY, perhaps_memory=TRAINING_KILLED, refused=TRAINING_RAN_OUT
)


def judge_exit(code: int, kind: JobKind, *, for_memory: bool | None, printed: str) -> Exit:
    """Of a child that ended otherwise than well: its exit code, negative for a signal, whether the system killed one for memory
    meanwhile (None: it does not tell), and the end of what it printed.
    """
    words = _OF_TRAINING if kind is JobKind.TRAIN else _WORDS
    if found := refused_memory(code, words, printed):
        return found
    if code >= 0:
        return Exit(Failure.of(FailureCode.DIED, DIED, code=code))
    return judge(-code, words, for_memory=for_memory)


def judge_chat_exit(code: int, *, for_memory: bool | None, printed: str) -> Failure:
    """The same of a chat process, whatever its exit code."""
    if found := refused_memory(code, _OF_CHAT, printed):
        return found.failure
    if code >= 0:
        return Failure.of(FailureCode.DIED, CHAT_DIED)
    return judge(-code, _OF_CHAT, for_memory=for_memory).failure


def hanging(seconds: float) -> Exit:
    """Of a child that was ended because nothing of it had shown a sign of life for so long."""
    minutes = int(seconds / 60)
    failure = Failure.of(FailureCode.STALLED, HANGS, minutes=minutes)
    return Exit(failure, Sentence.of(HANGS_AGAIN, minutes=minutes))
