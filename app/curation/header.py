"""What every tab of a dataset shows around its own content."""

from typing import Any

from sqlmodel import Session

from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.conversations.counts import dataset_counts
from app.datasets import operations
from app.datasets.models import Dataset
from app.imports.service import count_imports
from app.versions.service import list_versions


def header(session: Session, actor: Actor, dataset: Dataset, tab: str) -> dict[str, Any]:
    """Its counts and versions, and what this person may do to it."""
    assert dataset.id is not None
    frozen = list_versions(session, dataset.id)
    operation = operations.under_way(session, dataset.id)
    return {
        "dataset": dataset,
        "counts": dataset_counts(session, dataset.id),
        "versions": frozen,
        "newest": frozen[0] if frozen else None,
        "import_count": count_imports(session, dataset.id),
        "tab": tab,
        "under_way": operations.said(operation) if operation else None,
        "can_write": not dataset.archived_at,
        "can_review": not dataset.archived_at and actor.may(Permission.CONVERSATION_REVIEW),
        "can_freeze": not dataset.archived_at and actor.may(Permission.VERSION_FREEZE),
    }
