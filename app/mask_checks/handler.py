"""The job of a mask check: a version's arrays made, every conversation checked, the report stored."""

from collections.abc import Sequence
from pathlib import Path

from sqlmodel import Session

from app.base_models.service import require_ready
from app.core.storage import StoredFile
from app.jobs.handlers import JobHandler, Workplace
from app.jobs.service import Claim
from app.mask_checks.service import require_mask_check
from app.mask_checks.work import CheckInput, CheckPayload, CheckResult
from app.versions.service import require_version


class CheckMasks(JobHandler[CheckResult]):
    """The job that makes the arrays of a version and checks every conversation."""

    result_model = CheckResult

    def child_input(self, session: Session, place: Workplace, claim: Claim) -> CheckInput:
        """The frozen file, the model's folder and the settings."""
        check = require_mask_check(session, claim.asked(CheckPayload).mask_check_id)
        version = require_version(session, check.dataset_version_id)
        model, folder = require_ready(session, check.base_model_id)
        return CheckInput(
            version_file=str(place.storage.path(version.storage_key)),
            content_hash=version.content_hash,
            base_model=model.name,
            base_model_path=str(folder),
            settings=check.settings,
        )

    def publish(
        self,
        session: Session,
        place: Workplace,
        claim: Claim,
        result: CheckResult,
        files: Sequence[StoredFile],
    ) -> None:
        """Store the report and where the arrays lie."""
        check = require_mask_check(session, claim.asked(CheckPayload).mask_check_id)
        check.passed, check.report = result.report.green, result.report
        check.arrays_hash = result.arrays_hash
        check.arrays_key = f"{place.output_key}/{Path(result.arrays).name}" if result.arrays else None
        session.add(check)
