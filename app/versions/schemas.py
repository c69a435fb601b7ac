"""What REST shows of frozen versions."""

from datetime import datetime

from pydantic import BaseModel

from app.accounts.who import CreatedByOut
from app.versions.freezing import Frozen
from app.versions.models import DatasetVersion


class VersionOut(CreatedByOut):
    """A frozen version."""

    id: int
    dataset_id: int
    number: int
    content_hash: str
    train_count: int
    validation_count: int
    coverage: dict[str, dict[str, int]]
    created_at: datetime
    # When conversations were erased from it, by whom, and its hash before.
    redactions: list[dict[str, str]]

    @classmethod
    def of(cls, version: DatasetVersion) -> "VersionOut":
        """From the stored row."""
        return cls.model_validate({name: getattr(version, name) for name in cls.model_fields})


class FrozenOut(VersionOut):
    """What freezing gave."""

    # False: nothing has changed since this version, so no other was made of the same content.
    is_new: bool

    @classmethod
    def of_frozen(cls, frozen: Frozen) -> "FrozenOut":
        """From what freezing gave."""
        return cls(**VersionOut.of(frozen.version).model_dump(), is_new=frozen.is_new)


class ChangesOut(BaseModel):
    """What came to a version, changed and went since the version before it, in conversations."""

    # The number of the version before.
    since: int
    added: int
    changed: int
    removed: int
