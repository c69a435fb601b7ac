"""Which files of an export's job stay: those of an export that succeeded, and nothing else but logs."""

import shutil
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlmodel import col, select

from app.core.database import reading
from app.core.storage import Storage
from app.jobs.models import Job, JobKind, JobState

FOLDER: Final = "export"
# What is being written bears this until it is whole.
PARTIAL: Final = ".partial-export"


def clear_leftovers(job_folder: Path, state: JobState, attempt: int) -> None:
    """Apply the rule to the folder of an export's job, all attempts in it; `attempt` is the last one."""
    for folder in [*job_folder.glob(f"*/{PARTIAL}"), *job_folder.glob(f"*/{FOLDER}")]:
        kept = folder.name == FOLDER and folder.parent.name == str(attempt) and state is JobState.SUCCEEDED
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


def clear_all_leftovers(engine: Engine, storage: Storage) -> None:
    """The same for every export that ended while nobody was there to clear up after it, or that is gone since."""
    found = [*storage.root.glob(f"jobs/*/*/{PARTIAL}"), *storage.root.glob(f"jobs/*/*/{FOLDER}")]
    folders = {int(path.parent.parent.name): path.parent.parent for path in found}
    if not folders:
        return
    with reading(engine) as session:
        statement = select(Job.id, Job.state, Job.attempt, Job.finished_at).where(
            col(Job.id).in_(folders), Job.kind == JobKind.EXPORT
        )
        rows = {job_id or 0: (state, attempt, end) for job_id, state, attempt, end in session.exec(statement)}
        kept = set(session.exec(select(Job.id).where(col(Job.id).in_(folders))))
    for job_id, folder in folders.items():
        if job_id not in kept:
            shutil.rmtree(folder, ignore_errors=True)
        elif job_id in rows and rows[job_id][2] is not None:
            state, attempt, _end = rows[job_id]
            clear_leftovers(folder, JobState(state), attempt)
