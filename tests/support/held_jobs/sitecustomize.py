"""On the Python path of a server under test: a job's process does not begin while the file is there that HELD_WHILE names.

Python imports a module of this name by itself.
"""

import os
import sys
import time

held_while = os.environ.get("HELD_WHILE")
if held_while and any("worker.work.child" in word for word in sys.orig_argv):
    while os.path.exists(held_while):  # noqa: PTH110 - every process that Python starts would wait for pathlib
        time.sleep(0.02)
