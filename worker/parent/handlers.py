"""Which domain handles which kind of job."""

from typing import Any, Final

from app.base_models.handler import PrepareBaseModel
from app.evaluations.handler import Evaluate
from app.evaluations.service import queue_evaluations
from app.exports.handler import ExportRun
from app.exports.push_handler import PushExport
from app.imports.handler import ImportFile
from app.jobs.handlers import JobHandler
from app.jobs.models import JobKind
from app.mask_checks.handler import CheckMasks
from app.runs.handler import Train

HANDLERS: Final[dict[JobKind, JobHandler[Any]]] = {
    JobKind.IMPORT: ImportFile(),
    JobKind.PREPARE_BASE_MODEL: PrepareBaseModel(),
    JobKind.CHECK_MASKS: CheckMasks(),
    JobKind.TRAIN: Train(follow_up=queue_evaluations),
    JobKind.EVALUATE: Evaluate(),
    JobKind.EXPORT: ExportRun(),
    JobKind.PUSH: PushExport(),
}
