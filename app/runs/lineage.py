"""What a run was made from, for the strip of links that run and report pages share."""

from collections.abc import Iterable
from typing import TypedDict

from sqlmodel import Session, col, or_, select

from app.base_models.models import BaseModelSource, ModelEntry
from app.base_models.service import require_base_model
from app.datasets.models import Dataset
from app.datasets.service import require_dataset
from app.mask_checks.models import MaskCheck
from app.mask_checks.service import require_mask_check
from app.runs.mixing import MixedIn, mixed_into
from app.runs.models import Run
from app.versions.models import DatasetVersion
from app.versions.service import require_version


class Lineage(TypedDict):
    """What `runs/_lineage.html` reads."""

    run: Run
    dataset: Dataset
    version: DatasetVersion
    model: ModelEntry
    check: MaskCheck
    mixed_in: MixedIn | None
    # The run that it begins from, and those that begin from it.
    parent: Run | None
    children: list[Run]


def lineage_of(session: Session, run: Run) -> Lineage:
    """The run with its dataset, version, base model and mask check, and what is mixed in."""
    version = require_version(session, run.dataset_version_id)
    return {
        "run": run,
        "dataset": require_dataset(session, version.dataset_id),
        "version": version,
        "model": require_base_model(session, run.base_model_id),
        "check": require_mask_check(session, run.mask_check_id),
        "mixed_in": mixed_into(session, run),
        "parent": session.get(Run, run.parent_run_id) if run.parent_run_id else None,
        "children": children_of(session, run),
    }


def children_of(session: Session, run: Run) -> list[Run]:
    """Runs that begin from this one, oldest first."""
    return list(session.exec(select(Run).where(Run.parent_run_id == run.id).order_by(col(Run.id))))


def with_descendants(session: Session, runs: Iterable[Run]) -> list[Run]:
    """The runs by their ids, and all that begin from what they left: from a checkpoint, an adapter or a whole model."""
    found = {run.id: run for run in runs}
    newest = list(found.values())
    while newest:
        keys = [run.adapter_key for run in newest if run.adapter_key]
        made = select(ModelEntry.id).where(
            ModelEntry.source == BaseModelSource.RUN, col(ModelEntry.reference).in_(keys)
        )
        begun = or_(col(Run.parent_run_id).in_([run.id for run in newest]), col(Run.base_model_id).in_(made))
        newest = [run for run in session.exec(select(Run).where(begun)) if run.id not in found]
        found |= {run.id: run for run in newest}
    return sorted(found.values(), key=lambda run: run.id or 0)
