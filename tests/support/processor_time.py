"""How long work takes by the clock of the processor, which a busy machine does not slow."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def works_at_most(seconds: float) -> Iterator[None]:
    """This process, all its threads, and the children that end meanwhile."""
    began = _worked()
    yield
    worked = _worked() - began
    assert worked < seconds, f"{worked:.1f} s of processor time"


def _worked() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
