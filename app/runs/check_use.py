"""Which runs were started on a mask check, for the pages of mask checks, which know no runs."""

from sqlmodel import Session

from app.mask_checks.use import StartedRun
from app.runs.service import runs_of_check


class RunsOfChecks:
    """Answers from the table of runs."""

    def runs_of(self, session: Session, mask_check_id: int) -> list[StartedRun]:
        """What was started on this check, newest first."""
        return [
            StartedRun(run.id or 0, run.name, run.confirmed_by, run.override_reason, run.created_at)
            for run in runs_of_check(session, mask_check_id)
        ]
