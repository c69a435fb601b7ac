"""Taking a base model away that nothing was made with: one that was mistyped, could not be fetched, or is needed no more."""

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

from sqlalchemy import delete, select
from sqlmodel import Session, SQLModel, col

from app.accounts.service import Actor, record
from app.base_models.models import ModelEntry
from app.core.errors import Conflict
from app.core.storage import Storage
from app.core.transactions import after_commit
from app.jobs.models import Job
from app.sentences import N_, Sentence

# Where links lie by which commands find a model without a database.
LINKS: Final = "models"
_UNDER_WAY: Final = N_("“%(name)s” is being prepared. Cancel that in the queue, then remove it.")
_NEEDED: Final = N_(
    "“%(name)s” stays: mask checks or runs were made with it, and what was made with a model must stay repeatable."
)


def is_needed(session: Session, base_model_id: int) -> bool:
    """Whether anything refers to it, told by the foreign keys so that no table is forgotten."""
    columns = (column for table in SQLModel.metadata.sorted_tables for column in table.columns)
    return any(
        session.execute(select(column).where(column == base_model_id).limit(1)).first() is not None
        for column in columns
        if any(key.column.table.name == ModelEntry.__tablename__ for key in column.foreign_keys)
    )


def why_it_stays(session: Session, model: ModelEntry, job: Job | None) -> Sentence | None:
    """What keeps a model from being removed; None for one that can be. `job` is the one that prepares it."""
    if _is_under_way(job):
        return Sentence.of(_UNDER_WAY, name=model.name)
    return Sentence.of(_NEEDED, name=model.name) if is_needed(session, model.id or 0) else None


def _is_under_way(job: Job | None) -> bool:
    return job is not None and not job.is_final


def remove_base_model(
    session: Session, storage: Storage, data_dir: Path, actor: Actor, model: ModelEntry
) -> None:
    """Its row, its job and what was fetched or converted for it; a folder of the server's own stays as it is. Raises Conflict
    while it is being prepared, and where something was made with it.
    """
    session.refresh(model, with_for_update=True)
    job = session.get(Job, model.job_id) if model.job_id else None
    if _is_under_way(job):
        raise Conflict(_UNDER_WAY, name=model.name)
    if is_needed(session, model.id or 0):
        raise Conflict(_NEEDED, name=model.name)
    record(session, actor, "base_model.remove", f"base_model/{model.id} {model.name}")
    folders = {_job_folder(storage, found) for found in (model.path, model.tokenizer_path) if found}
    folders |= {storage.path(f"jobs/{model.job_id}")} if model.job_id else set()
    session.delete(model)
    session.flush()
    if job is not None:
        session.execute(delete(Job).where(col(Job.id) == job.id))
    own = {folder for folder in folders if folder is not None}
    after_commit(session, lambda: _remove_files(own, data_dir.resolve() / LINKS))


def _job_folder(storage: Storage, path: str) -> Path | None:
    """The folder of the job that wrote it; None where it lies elsewhere and is not ours."""
    jobs = storage.path("jobs")
    found = Path(path).resolve()
    return jobs / found.relative_to(jobs).parts[0] if found.is_relative_to(jobs) and found != jobs else None


def _remove_files(folders: Collection[Path], links: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    for link in links.glob("*") if links.is_dir() else ():
        if link.is_symlink() and any(link.resolve().is_relative_to(folder) for folder in folders):
            link.unlink(missing_ok=True)
