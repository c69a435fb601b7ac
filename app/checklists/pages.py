"""The checklist on a run's page."""

from itertools import groupby
from typing import TypedDict

from fastapi import Request, Response
from sqlmodel import Session

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.checklists.items import Item, Part, State
from app.checklists.service import checklist_of
from app.core.routing import Router
from app.core.templating import render
from app.core.web import Db
from app.runs.models import Run
from app.runs.service import require_run

router = Router(prefix="/runs", include_in_schema=False)


class ShownChecklist(TypedDict):
    """What `checklists/_section.html` reads beside the run."""

    checklist: list[tuple[Part, list[Item]]]
    checklist_counts: dict[str, int]


class ChecklistOfRun:
    """What runs show of their checklist."""

    def of_run(self, session: Session, run: Run) -> ShownChecklist:
        """By section, and how many items stand how."""
        items = checklist_of(session, run)
        return {
            "checklist": [(part, list(found)) for part, found in groupby(items, key=lambda one: one.part)],
            "checklist_counts": {state.value: sum(one.state is state for one in items) for state in State},
        }


@router.get("/{run_id}/checklist", response_model=None)
@needs(Permission.RUN_READ)
def run_checklist(request: Request, session: Db, run_id: int) -> Response:
    """The section by itself."""
    run = require_run(session, run_id)
    return render(request, "checklists/_section.html", {"run": run, **ChecklistOfRun().of_run(session, run)})
