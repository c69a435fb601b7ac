"""How long a test waits for what never comes. Whoever waits without end, in a thread that the test has to wait for, outlives the
test's own time limit: the limit's exception is caught at the end of the executor or the event loop, which wait for that thread.
"""

import threading
import time
from typing import Final

# A failing test ends by this; nothing is measured.
HANGING_SECONDS: Final = 120


def all_begun(begun: threading.Semaphore, count: int) -> bool:
    """Whether so many have said that they are under way, waited for in this thread."""
    until = time.monotonic() + HANGING_SECONDS
    return all(begun.acquire(timeout=max(0, until - time.monotonic())) for _ in range(count))
