"""Freezing: approved conversations become a file that never changes, named by its own hash."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from sqlmodel import Session, col, func, select

from app.accounts.service import Actor, record
from app.conversations.models import Conversation, ReviewState
from app.conversations.revisions import snapshot_of
from app.core.errors import Invalid
from app.core.storage import Storage
from app.datasets.models import Dataset
from app.datasets.service import require_writable
from app.sentences import N_
from app.versions.models import DatasetVersion

VALIDATION_SHARE: Final = 0.05
# Below this many conversations a held-out split would cost more than it tells.
_MIN_FOR_VALIDATION: Final = 10
_COVERAGE: Final = ("outcome", "stage", "objection", "language")


def freeze(session: Session, storage: Storage, dataset: Dataset, actor: Actor) -> DatasetVersion:
    """Freeze what is approved now. The same content again gives the version that already has it.

    Raises Invalid when nothing is approved, Conflict for an archived dataset.
    """
    assert dataset.id is not None
    require_writable(session, dataset.id)
    rows = _approved_conversations(session, dataset.id)
    if not rows:
        raise Invalid(
            N_("Nothing is approved in this dataset. Approve at least one conversation, then freeze.")
        )
    held_out = _validation_hashes(rows)
    lines = [_line(row, "validation" if row.content_hash in held_out else "train") for row in rows]
    body = ("\n".join(lines) + "\n").encode()
    digest = hashlib.sha256(body).hexdigest()
    existing = session.exec(
        select(DatasetVersion).where(
            DatasetVersion.dataset_id == dataset.id, DatasetVersion.content_hash == digest
        )
    ).first()
    if existing:
        return existing
    key = f"versions/{digest}.jsonl"
    with storage.write(key) as file:
        file.write(body)
    last = session.exec(
        select(func.max(DatasetVersion.number)).where(DatasetVersion.dataset_id == dataset.id)
    ).one()
    validation_count = sum(row.content_hash in held_out for row in rows)
    version = DatasetVersion(
        dataset_id=dataset.id,
        number=(last or 0) + 1,
        content_hash=digest,
        storage_key=key,
        train_count=len(rows) - validation_count,
        validation_count=validation_count,
        coverage=_coverage(rows),
        **actor.who.columns(),
    )
    session.add(version)
    session.flush()
    record(session, actor, "version.freeze", f"version/{version.id}")
    return version


def _validation_hashes(rows: Any) -> set[str]:
    """The conversations with the smallest hashes: stable when others are added, random in content."""
    hashes = sorted({row.content_hash for row in rows})
    if len(hashes) < _MIN_FOR_VALIDATION:
        return set()
    return set(hashes[: max(1, round(len(hashes) * VALIDATION_SHARE))])


def _line(row: Conversation, split: str) -> str:
    data = {"id": row.id, "split": split, **snapshot_of(row)}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _coverage(rows: Any) -> dict[str, dict[str, int]]:
    return {name: dict(Counter(str(getattr(row, name) or "") for row in rows)) for name in _COVERAGE}


def _approved_conversations(session: Session, dataset_id: int) -> Sequence[Conversation]:
    """What a version is frozen from, in order of arrival."""
    statement = (
        select(Conversation)
        .where(Conversation.dataset_id == dataset_id, col(Conversation.review_state) == ReviewState.APPROVED)
        .order_by(col(Conversation.id))
    )
    return session.exec(statement).all()
