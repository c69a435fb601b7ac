"""What REST shows of frozen versions."""

from datetime import datetime
from typing import Any

from app.accounts.who import CreatedByOut
from app.versions.models import DatasetVersion


class VersionOut(CreatedByOut):
    """A frozen version."""

    id: int
    dataset_id: int
    number: int
    content_hash: str
    train_count: int
    validation_count: int
    coverage: dict[str, Any]
    created_at: datetime
    # When conversations were erased from it, by whom, and its hash before.
    redactions: list[dict[str, str]]

    @classmethod
    def of(cls, version: DatasetVersion) -> "VersionOut":
        """From the stored row."""
        return cls.model_validate({name: getattr(version, name) for name in cls.model_fields})
