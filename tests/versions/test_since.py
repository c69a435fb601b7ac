"""What became of a version's conversations since they were frozen."""

from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from app.conversations import service as conversations
from app.conversations.models import Conversation, ReviewState
from app.core.database import reading, transaction
from app.core.errors import Conflict
from app.core.storage import Storage
from app.versions.models import DatasetVersion
from app.versions.since import Since, read_now, since_freeze
from tests.support.training import make_version


def found(engine: Engine, storage: Storage) -> Since:
    with reading(engine) as session:
        version = session.exec(select(DatasetVersion)).one()
        now = read_now(session, version)
    return since_freeze(storage, version, now)


def test_changes_withdrawn_approvals_and_removals_are_counted_and_what_was_put_back_is_not(
    engine: Engine, tmp_path: Path
) -> None:
    storage = Storage(tmp_path)
    with transaction(engine) as session:
        make_version(session, storage, conversations=8)
        make_version(session, storage, conversations=2, name="Other")
        session.delete(
            session.exec(
                select(DatasetVersion).where(DatasetVersion.number == 1, DatasetVersion.dataset_id == 2)
            ).one()
        )
    assert found(engine, storage) == Since()
    with transaction(engine) as session:
        first, second, third, fourth, gone, *_rest = session.exec(select(Conversation)).all()
        for row in (first, second, third, fourth):
            row.updated_at = conversations.utc_now()
        first.outcome = None
        second.content_hash = "d" * 64
        third.review_state = ReviewState.DRAFT
        # `fourth` was changed and put back.
        session.delete(gone)
    assert found(engine, storage) == Since(unapproved=1, changed=2, gone=1)


def test_a_version_whose_file_is_gone_is_refused_in_words(engine: Engine, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with transaction(engine) as session:
        version = make_version(session, storage)
    storage.path(version.storage_key).unlink()
    with pytest.raises(Conflict, match="gone"):
        found(engine, storage)
