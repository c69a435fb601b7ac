"""REST for the checklist."""

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.checklists.lines import ChecklistLine
from app.checklists.service import lines_of
from app.core.routing import Router
from app.core.web import Db
from app.runs.service import require_run

router = Router(prefix="/api/v1/runs/{run_id}", tags=["runs"])


@router.get("/checklist")
@needs(Permission.RUN_READ)
def get_checklist(session: Db, run_id: int) -> list[ChecklistLine]:
    """The checklist of a fine-tune, filled in with evidence from what is stored of the run."""
    return lines_of(session, require_run(session, run_id))
