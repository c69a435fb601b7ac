"""A process that must not outlive its parent: the parent holds the other end of our standard input.

The kernel closes that end however the parent dies, kill -9 included, and no thread of the parent has to live on
for it (as PR_SET_PDEATHSIG would ask).
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

ORPHAN_GRACE_SECONDS: Final = 5.0
# The word by which a process is told that it has one.
LIFELINE: Final = "--lifeline"
_STDIN: Final = 0


def when_parent_ends(action: Callable[[], None]) -> None:
    """Run `action` in a thread of its own once the parent is gone."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(_STDIN, 4096):
                pass
        action()

    threading.Thread(target=watch, daemon=True, name="lifeline").start()


def end_this_process() -> None:
    """SIGTERM to ourselves, so that work is handed back; SIGKILL when that takes too long."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
