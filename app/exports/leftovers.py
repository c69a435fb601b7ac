"""Exports whose jobs ended while no worker was there to clear up after them."""

import shutil

from sqlalchemy import Engine
from sqlmodel import col, select

from app.core.database import reading
from app.core.storage import Storage
from app.exports.folder_names import FOLDER, PARTIAL
from app.jobs.leftovers import clear_leftovers
from app.jobs.models import Job, JobKind, JobState


def clear_all_leftovers(engine: Engine, storage: Storage) -> None:
    """What stays of a job's files stays of each of theirs, and nothing of an export that is gone since."""
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
