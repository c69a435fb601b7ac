"""What every tab of a dataset shows around its own content."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.conversations.counts import dataset_counts
from app.conversations.facets import facets_of
from app.conversations.filters import FACETS
from app.conversations.labels import label_words
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


@dataclass(frozen=True)
class FacetFields:
    """The fields that narrow a list, or a version, to a label, a person or an import: for each its values with counts, None
    where a count is not known; and what values are called: those of labels, the file of an import.
    """

    values: list[tuple[str, Sequence[tuple[str | int, int | None]]]]
    words: dict[str, dict[str, str]]
    files: dict[int | None, str]


def facet_fields(session: Session, dataset_id: int) -> FacetFields:
    """Of this dataset."""
    found = facets_of(session, dataset_id)
    tags: list[tuple[str | int, int | None]] = [(tag, None) for tag in found.tags]
    return FacetFields(
        values=[(name, tags if name == "tag" else found.counts[name]) for name in FACETS],
        words=label_words(),
        files={row.operation_id: row.filename for row in list_imports(session, dataset_id)},
    )
