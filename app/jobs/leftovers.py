"""Which working files of a job stay: those of the attempt that succeeded, and every attempt's logs.

Kinds of jobs with another rule, such as runs with their checkpoints, have their own.
"""

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlmodel import col, or_, select

from app.core.database import reading
from app.core.storage import Storage
from app.jobs.models import Job, JobKind, JobState

_LOGS: Final = frozenset({"log.txt", "job.json"})


def clear_leftovers(job_folder: Path, state: JobState, attempt: int) -> None:
    """Apply the rule to the folder of a job, all attempts in it; `attempt` is the last one, `state` what it ended in."""
    for folder in job_folder.iterdir():
        if not folder.is_dir() or (state is JobState.SUCCEEDED and folder.name == str(attempt)):
            continue
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in _LOGS:
                path.unlink(missing_ok=True)


def clear_all_leftovers(engine: Engine, storage: Storage, kinds: Collection[JobKind]) -> None:
    """The same for every job of these kinds that ended while nobody was there to clear up after it."""
    statement = select(Job.id, Job.state, Job.attempt).where(
        col(Job.kind).in_(kinds),
        col(Job.finished_at).is_not(None),
        or_(col(Job.attempt) > 1, col(Job.state) != JobState.SUCCEEDED),
    )
    with reading(engine) as session:
        ended = list(session.exec(statement))
    for job_id, state, attempt in ended:
        folder = storage.path(f"jobs/{job_id}")
        if folder.is_dir():
            clear_leftovers(folder, JobState(state), attempt)
