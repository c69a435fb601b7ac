"""The model of a full fine-tune as a base model of its own, so that other runs begin from it: with an adapter, or with all
weights once more.
"""

from typing import Final

from sqlmodel import Session

from app.accounts.service import Actor
from app.base_models.models import ModelEntry
from app.base_models.service import add_tuned
from app.core.errors import Conflict
from app.jobs.models import Job
from app.runs.models import Run
from app.sentences import N_

_NO_MODEL: Final = N_("Run %(id)d has no model to begin from: it has not ended with one.")
_AN_ADAPTER: Final = N_(
    "Run %(id)d trained an adapter, which is no model by itself: begin a run on its base model with init_adapter %(id)d."
)


def use_as_base(session: Session, actor: Actor, run: Run, name: str = "") -> tuple[ModelEntry, Job]:
    """Register it and begin to prepare it; registering it again is harmless. It is called as the run unless `name` says
    otherwise. Raises Conflict for an adapter, for a run without a model, and for a name that another base model has.
    """
    if run.adapter_key is None:
        raise Conflict(_NO_MODEL, id=run.id)
    if run.config.use_peft:
        raise Conflict(_AN_ADAPTER, id=run.id)
    # Runs of one name are common, base models of one name there are none.
    return add_tuned(session, actor, key=run.adapter_key, name=name.strip() or f"{run.name[:108]} #{run.id}")
