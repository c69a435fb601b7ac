"""Rules of exports: which may be made, what of them is kept, and their end."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import delete
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.accounts.service import Actor, record
from app.base_models.service import require_base_model
from app.core.database import utc_now
from app.core.errors import Conflict, Invalid, NotFound
from app.core.storage import Storage
from app.core.transactions import after_commit
from app.exports.kinds import GGUF, GGUF_MODELS, KINDS, ExportKind, kinds_of, read_choices, require_kind
from app.exports.models import HubPush, RunExport, RunExportFile
from app.exports.work import ExportPayload
from app.interop.handing import TOOLS
from app.jobs.models import Job, JobKind, JobState, StopRequest
from app.jobs.service import enqueue_with, require_job
from app.jobs.stopping import request_stop
from app.runs.models import Run
from app.runs.service import adapter_path, trains_on
from app.sentences import N_
from app.versions.service import require_version

logger = logging.getLogger(__name__)
_FINAL: Final = tuple(state for state in JobState if state.is_final)
_CARRY_DATA: Final = tuple(kind.name for kind in KINDS if kind.carries_data)


def start_export(
    session: Session, storage: Storage, actor: Actor, run: Run, kind_name: str, choices: Mapping[str, str]
) -> tuple[RunExport, Job]:
    """Promise the files. What is under way with the same choices is returned instead.

    Raises Invalid for an unknown kind or choice, Conflict while the run has no adapter.
    """
    kind = require_kind(kind_name)
    if run.begins and kind.name in TOOLS:
        raise Invalid(
            N_(
                "Run %(id)d began from run %(earlier)d, and a training elsewhere would begin at the base model: its losses would "
                "be others. Export the adapter, or the run that it began from."
            ),
            field="kind",
            id=run.id,
            earlier=run.begins.run_id,
        )
    if kind not in kinds_of(run.config, run.begins):
        raise Invalid(
            N_("A full fine-tune has no adapter: export the run as “merged”, which is its whole model."),
            field="kind",
        )
    chosen = read_choices(kind, choices)
    adapter_path(storage, run)
    _require_written(session, run, kind)
    for export, job in list_exports(session, run.id or 0):
        if (export.kind, export.choices) == (kind.name, chosen) and not job.is_final:
            return export, job
    version_hash = require_version(session, run.dataset_version_id).content_hash
    export, job = enqueue_with(
        session,
        JobKind.EXPORT,
        lambda job_id: RunExport(
            run_id=run.id or 0,
            kind=kind.name,
            choices=chosen,
            job_id=job_id,
            version_hash=version_hash,
            **actor.who.columns(),
        ),
        lambda export_id: ExportPayload(export_id=export_id),
        created_by=actor.who,
    )
    record(session, actor, "run.export", f"run/{run.id} {kind.name}")
    return export, job


def _require_written(session: Session, run: Run, kind: ExportKind) -> None:
    """What is known to come out as another model is refused before it waits; a base model whose class is not known is looked at by the
    worker."""
    architecture = require_base_model(session, run.base_model_id).info.architecture
    if kind.name == GGUF and architecture and architecture not in GGUF_MODELS:
        raise Invalid(
            N_(
                "Models of the kind %(kind)s are not written as GGUF here (known: %(known)s). Export the merged model and convert it with "
                "llama.cpp's convert_hf_to_gguf.py."
            ),
            field="kind",
            kind=architecture,
            known=", ".join(GGUF_MODELS.values()),
        )


def require_export(session: Session, export_id: int) -> RunExport:
    """The export, or NotFound."""
    found = session.get(RunExport, export_id)
    if found is None:
        raise NotFound(N_("There is no export %(id)d."), id=export_id)
    return found


def export_job(session: Session, export: RunExport) -> Job:
    """The job that carries the export's state."""
    return require_job(session, export.job_id)


def list_exports(session: Session, run_id: int) -> list[tuple[RunExport, Job]]:
    """A run's exports with their jobs, newest first."""
    statement = (
        select(RunExport, Job)
        .join(Job, col(RunExport.job_id) == col(Job.id))
        .where(RunExport.run_id == run_id)
        .order_by(col(RunExport.id).desc())
    )
    return [(export, job) for export, job in session.exec(statement)]


def files_of(session: Session, export_ids: Sequence[int]) -> dict[int, list[RunExportFile]]:
    """By export, its files by name; without those that have none."""
    found: dict[int, list[RunExportFile]] = {}
    statement = select(RunExportFile).where(col(RunExportFile.export_id).in_(export_ids))
    for file in session.exec(statement.order_by(col(RunExportFile.name))):
        found.setdefault(file.export_id, []).append(file)
    return found


def require_files(session: Session, export: RunExport) -> list[RunExportFile]:
    """The files of a finished export. Raises Conflict before there are any."""
    files = files_of(session, [export.id or 0]).get(export.id or 0)
    if not files:
        raise Conflict(N_("Export %(id)d has no files: it has not finished successfully."), id=export.id)
    return files


def require_file(session: Session, export_id: int, file_id: int) -> RunExportFile:
    """A file of this export, or NotFound."""
    file = session.get(RunExportFile, file_id)
    if file is None or file.export_id != export_id:
        raise NotFound(N_("There is no such file."))
    return file


def stop_export(session: Session, actor: Actor, export: RunExport) -> Job:
    """Ask it to end; nothing of it is kept. Raises Conflict for one that has ended."""
    job = request_stop(session, export.job_id, StopRequest.CANCEL)
    record(session, actor, "run.export_cancel", f"run/{export.run_id} {export.kind}")
    return job


def delete_export(session: Session, storage: Storage, actor: Actor, export: RunExport) -> None:
    """Its row, its job and its files. Raises Conflict while it is being made."""
    if not export_job(session, export).is_final:
        raise Conflict(N_("This export is still being made. Cancel it, then delete it."))
    if session.exec(_being_pushed().where(HubPush.export_id == export.id)).first() is not None:
        raise Conflict(N_("This export is being pushed to a hub. Cancel that, then delete it."))
    record(session, actor, "run.export_delete", f"run/{export.run_id} {export.kind}")
    remove(session, storage, [export])


def remove(session: Session, storage: Storage, exports: Sequence[RunExport]) -> None:
    """Exports that have ended, with all that is stored of them; files go once that is committed."""
    jobs = [export.job_id for export in exports]
    ids = [export.id for export in exports]
    pushes = list(session.exec(select(HubPush.job_id).where(col(HubPush.export_id).in_(ids))))
    session.execute(delete(HubPush).where(col(HubPush.export_id).in_(ids)))
    session.execute(delete(Job).where(col(Job.id).in_(pushes), col(Job.kind) == JobKind.PUSH))
    session.execute(delete(RunExport).where(col(RunExport.id).in_(ids)))
    session.execute(delete(Job).where(col(Job.id).in_(jobs), col(Job.kind) == JobKind.EXPORT))
    session.flush()
    after_commit(session, lambda: _remove_folders(storage, [*jobs, *pushes]))


def _being_pushed() -> SelectOfScalar[int]:
    """Exports whose files are on their way to a hub."""
    statement = select(HubPush.export_id).join(Job, col(HubPush.job_id) == col(Job.id))
    return statement.where(col(Job.state).not_in(_FINAL))


def _remove_folders(storage: Storage, job_ids: Sequence[int]) -> None:
    for job_id in job_ids:
        try:
            shutil.rmtree(storage.path(f"jobs/{job_id}"))
        except FileNotFoundError:
            continue
        except OSError:
            logger.warning("could not remove the files of export job %d", job_id, exc_info=True)


def with_data_of(session: Session, version_ids: Sequence[int]) -> list[tuple[RunExport, Job]]:
    """Exports that have these versions' dialogues among their files, or are about to."""
    statement = (
        select(RunExport, Job)
        .join(Job, col(RunExport.job_id) == col(Job.id))
        .join(Run, col(RunExport.run_id) == col(Run.id))
        .where(trains_on(version_ids), col(RunExport.kind).in_(_CARRY_DATA))
        .order_by(col(RunExport.id))
    )
    return [(export, job) for export, job in session.exec(statement)]


def expire_exports(session: Session, storage: Storage, *, days: int) -> int:
    """Remove exports that ended longer ago than so many days (0: none); how many there were."""
    if not days:
        return 0
    old = utc_now() - timedelta(days=days)
    ended, unused = col(Job.state).in_(_FINAL), col(RunExport.id).not_in(_being_pushed())
    statement = select(RunExport).join(Job, col(RunExport.job_id) == col(Job.id))
    found = list(session.exec(statement.where(ended, unused, col(Job.finished_at) < old)))
    remove(session, storage, found)
    return len(found)
