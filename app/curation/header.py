"""What every tab of a dataset shows around its own content."""

from typing import Any

from sqlmodel import Session

from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.conversations.counts import dataset_counts
from app.conversations.facets import facets_of
from app.conversations.filters import FACETS
from app.curation.freeze_form import FreezeForm
from app.datasets import operations
from app.datasets.models import Dataset
from app.imports.service import count_imports, list_imports
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
        "freeze": FreezeForm(),
        "freeze_refused": None,
        "freeze_facets": None,
    }


def facets_context(session: Session, dataset_id: int) -> dict[str, Any]:
    """What the fields need that narrow a list, or a version, to a label, a person or an import."""
    found = facets_of(session, dataset_id)
    tags: list[tuple[str | int, int | None]] = [(tag, None) for tag in found.tags]
    return {
        "facets": [(name, tags if name == "tag" else found.counts[name]) for name in FACETS],
        "imports": {row.operation_id: row.filename for row in list_imports(session, dataset_id)},
    }
