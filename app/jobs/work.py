"""What goes between those who promise a job, the worker and its child, as typed documents of each kind of job.

A kind has one home for its own, its domain's `work.py`: the payload that its row holds, the input of its child process and
the result that comes back. Whoever writes one and whoever reads it use the same class. Loads no database.
"""

from app.core.stored_models import StoredModel


class JobPayload(StoredModel):
    """What a job's row holds of the promise: ids and settings, never file contents. Rows of earlier programs read on."""


class JobInput(StoredModel):
    """What the child process is given, all that it needs: it has no database."""


class JobResult(StoredModel):
    """What the child hands back at its end; figures that are not numbers arrive as null."""
