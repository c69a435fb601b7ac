"""Everything that needs torch, and the Celery worker that supervises it."""

import os

# Must be set before torch is loaded. Threads that wait then sleep instead of spinning: beside other work on the same
# two cores, matrix products were measured six to nine times faster so.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
