"""What people ask of a run under way: to pause and go on, to stop and be kept, to be cancelled."""

from typing import Final

from sqlmodel import Session

from app.accounts.service import Actor, record
from app.core.errors import Conflict
from app.core.storage import Storage
from app.core.transactions import after_commit
from app.interop.handing import TOOL_NAMES
from app.jobs import stopping
from app.jobs.models import Job, StopRequest
from app.recipes.backend import STUDIO
from app.runs.leftovers import clear_leftovers
from app.runs.models import Run
from app.sentences import N_

_NO_PAUSE: Final = N_(
    "%(tool)s trains this run and cannot pause. Stop it and keep what it has, or cancel it."
)

GOES_ON: Final = N_("It goes on as soon as a worker is free.")


def stop_run(session: Session, storage: Storage, actor: Actor, run: Run, how: StopRequest) -> Job:
    """Ask for it. `cancel` makes no model, `save` makes one of what was learned by then, `pause` frees the worker's place.

    Raises Conflict for a run that has ended, for a pause of what another program trains, and for a paused run that is to
    be kept before its first step.
    """
    if how is StopRequest.PAUSE and run.config.backend != STUDIO:
        raise Conflict(_NO_PAUSE, tool=TOOL_NAMES[run.config.backend])
    job = stopping.request_stop(session, run.job_id, how)
    record(session, actor, f"run.{how.value}", f"run/{run.id}")
    if job.is_final:
        # No worker is at it that would clear up.
        folder = storage.path(f"jobs/{job.id}")
        after_commit(session, lambda: clear_leftovers(folder))
    return job


def resume_run(session: Session, actor: Actor, run: Run) -> Job:
    """Let a paused run go on from its checkpoint as soon as a worker is free. Raises Conflict where it is not paused."""
    job = stopping.resume(session, run.job_id)
    record(session, actor, "run.resume", f"run/{run.id}")
    return job
