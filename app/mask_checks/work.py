"""The job of a mask check, as the web, the worker and its child speak of it. Loads no database."""

from app.jobs.work import JobInput, JobPayload, JobResult
from app.mask_checks.report import MaskReport
from app.mask_settings.fields import MaskSettingsIn


class CheckPayload(JobPayload):
    """Which mask check."""

    mask_check_id: int


class CheckInput(JobInput):
    """The frozen file with its sha256, the model's name and folder, and how the masks are made."""

    version_file: str
    content_hash: str
    base_model: str
    base_model_path: str
    settings: MaskSettingsIn


class CheckResult(JobResult):
    """The report, and the file with the arrays and their hash where anything is trained."""

    report: MaskReport
    arrays: str | None = None
    arrays_hash: str | None = None
