"""The button that makes the model of a full fine-tune a base model."""

from fastapi import Response
from fastapi.responses import RedirectResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.web import Db
from app.runs.as_base import use_as_base
from app.runs.service import require_run

router = Router(prefix="/runs", include_in_schema=False)


@router.post("/{run_id}/base-model", response_model=None)
@needs(Permission.BASE_MODEL_ADD)
def add_as_base_model(session: Db, actor: CurrentActor, run_id: int) -> Response:
    """To the list of base models, where it is seen to become ready."""
    use_as_base(session, actor, require_run(session, run_id))
    return RedirectResponse("/base-models", status_code=303)
