"""What jobs are about, and the page of each: a query for each kind of job."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import String, cast
from sqlmodel import Session, col, select

from app.base_models.models import ModelEntry
from app.core.i18n import get_locale, gettext
from app.datasets.models import Dataset
from app.evaluations.models import Evaluation
from app.exports.kinds import BY_NAME
from app.exports.models import HubPush, RunExport
from app.imports.work import ImportPayload
from app.jobs.models import Job, JobKind
from app.mask_checks.models import MaskCheck
from app.runs.models import Run
from app.scoring.suites import suite_title
from app.sentences import N_
from app.versions.models import DatasetVersion

KIND_WORDS: Final = {
    JobKind.TRAIN: N_("Run"),
    JobKind.EVALUATE: N_("Evaluation"),
    JobKind.CHECK_MASKS: N_("Mask check"),
    JobKind.PREPARE_BASE_MODEL: N_("Base model"),
    JobKind.IMPORT: N_("Import"),
    JobKind.EXPORT: N_("Export"),
    JobKind.PUSH: N_("Push to a model hub"),
    JobKind.CHAT: N_("Chat"),
}


@dataclass(frozen=True)
class Subject:
    """The name of what a job is about, and its page; empty where it has none any more. `number`: by which a run is known, as names
    may be alike."""

    title: str = ""
    href: str = ""
    number: int | None = None


def subjects_of(session: Session, jobs: Sequence[Job]) -> dict[int, Subject]:
    """By job."""
    found: dict[int, Subject] = {}
    for kind, look_up in _LOOK_UPS.items():
        ids = [job.id for job in jobs if job.kind is kind and job.id is not None]
        if ids:
            found.update(look_up(session, ids))
    for job in jobs:
        if job.kind is JobKind.IMPORT:
            asked = job.asked(ImportPayload)
            href = f"/datasets/{asked.dataset_id}" if asked.dataset_id else ""
            found[job.id or 0] = Subject(asked.filename, href)
    return found


Found = Iterable[tuple[int, Subject]]


def _runs(session: Session, ids: Sequence[int]) -> Found:
    for run in session.exec(select(Run).where(col(Run.job_id).in_(ids))):
        yield run.job_id, Subject(run.name, f"/runs/{run.id}", run.id)


def _evaluations(session: Session, ids: Sequence[int]) -> Found:
    statement = (
        select(Evaluation.job_id, col(Evaluation.id), Evaluation.suite_name, Run.name)
        .join(Run, col(Evaluation.run_id) == Run.id)
        .where(col(Evaluation.job_id).in_(ids))
    )
    for job_id, evaluation_id, suite, run in session.exec(statement):
        title = suite_title(suite, get_locale())
        yield job_id, Subject(f"{run} · {title}", f"/evaluations/{evaluation_id}")


def _checks(session: Session, ids: Sequence[int]) -> Found:
    version = col(Dataset.name) + " v" + cast(DatasetVersion.number, String)
    statement = (
        select(MaskCheck.job_id, col(MaskCheck.id), version, ModelEntry.name)
        .join(DatasetVersion, col(MaskCheck.dataset_version_id) == DatasetVersion.id)
        .join(Dataset, col(DatasetVersion.dataset_id) == Dataset.id)
        .join(ModelEntry, col(MaskCheck.base_model_id) == ModelEntry.id)
        .where(col(MaskCheck.job_id).in_(ids))
    )
    for job_id, check_id, dataset, model in session.exec(statement):
        yield job_id, Subject(f"{dataset} · {model}", f"/mask-checks/{check_id}")


def _models(session: Session, ids: Sequence[int]) -> Found:
    for model in session.exec(select(ModelEntry).where(col(ModelEntry.job_id).in_(ids))):
        yield model.job_id or 0, Subject(model.name, f"/base-models/{model.id}")


def _exports(session: Session, ids: Sequence[int]) -> Found:
    statement = (
        select(RunExport.job_id, RunExport.kind, RunExport.run_id, Run.name)
        .join(Run, col(RunExport.run_id) == Run.id)
        .where(col(RunExport.job_id).in_(ids))
    )
    for job_id, kind, run_id, name in session.exec(statement):
        yield job_id, Subject(f"{name} · {_export_title(kind)}", f"/runs/{run_id}#exports")


def _export_title(kind: str) -> str:
    return gettext(BY_NAME[kind].title) if kind in BY_NAME else kind


def _pushes(session: Session, ids: Sequence[int]) -> Found:
    statement = (
        select(HubPush.job_id, HubPush.repository, RunExport.kind, RunExport.run_id)
        .join(RunExport, col(HubPush.export_id) == RunExport.id)
        .where(col(HubPush.job_id).in_(ids))
    )
    for job_id, repository, kind, run_id in session.exec(statement):
        yield job_id, Subject(f"{repository} · {_export_title(kind)}", f"/runs/{run_id}#exports")


_LOOK_UPS: Final[dict[JobKind, Callable[[Session, Sequence[int]], Found]]] = {
    JobKind.TRAIN: _runs,
    JobKind.EVALUATE: _evaluations,
    JobKind.CHECK_MASKS: _checks,
    JobKind.PREPARE_BASE_MODEL: _models,
    JobKind.EXPORT: _exports,
    JobKind.PUSH: _pushes,
}
