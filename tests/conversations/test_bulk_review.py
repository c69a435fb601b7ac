"""Reviewing many conversations: short pieces, one whole operation; on SQLite and PostgreSQL."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from app.accounts.who import Who
from app.conversations import bulk_review, drafts
from app.conversations import service as conversations
from app.conversations.bulk_review import review_many
from app.conversations.counts import dataset_counts
from app.conversations.models import Conversation, ReviewState
from app.core.database import reading, transaction
from app.core.errors import Conflict
from app.curation.sweeping import sweep
from app.datasets import service
from app.datasets.models import DatasetOperation
from tests.conversations.conftest import ANN, BOB, DIALOGUE
from tests.support.watching import after_transactions, elsewhere, rows_of_each_transaction, somebody_saving

APPROVED = ReviewState.APPROVED
COUNT = 1050
WRITES = "UPDATE conversation "


class Interrupted(Exception):
    """What a test raises in the middle."""


@pytest.fixture
def dataset_id(engine: Engine) -> int:
    """A dataset of many drafts."""
    with transaction(engine) as session:
        number = service.create_dataset(session, ANN, name="Calls").id or 0
        rows = [
            drafts.content_columns({"messages": [*DIALOGUE, {"role": "user", "content": str(n)}]})
            for n in range(COUNT)
        ]
        drafts.insert_drafts(session, number, rows, author=Who("Ann"))
    return number


def approve(engine: Engine, dataset_id: int) -> tuple[int, bulk_review.Refused]:
    with transaction(engine) as session:
        return review_many(session, dataset_id, None, BOB, APPROVED)


def approved(engine: Engine, dataset_id: int) -> int:
    with reading(engine) as session:
        return dataset_counts(session, dataset_id).approved


def test_no_piece_holds_many_rows_and_others_save_in_between(engine: Engine, dataset_id: int) -> None:
    with (
        rows_of_each_transaction(engine, WRITES) as rows,
        somebody_saving(engine, dataset_id) as saved,
    ):
        assert approve(engine, dataset_id)[0] >= COUNT
    assert max(rows) <= bulk_review.PIECE
    assert len(saved) >= 5
    with reading(engine) as session:
        assert session.exec(select(DatasetOperation)).all() == []


def test_what_would_take_half_of_it_for_the_whole_waits(engine: Engine, dataset_id: int) -> None:
    other = elsewhere(engine)

    def try_all() -> None:
        for attempt in (service.archive_dataset,):
            with (
                transaction(other) as session,
                pytest.raises(Conflict, match=r"being reviewed \(100 of 1,050\)"),
            ):
                attempt(session, BOB, dataset_id)
        with pytest.raises(Conflict, match="being reviewed"):
            approve(other, dataset_id)

    with after_transactions(engine, 1, try_all, WRITES):
        assert approve(engine, dataset_id) == (COUNT, [])
    other.dispose()


def test_a_conversation_deleted_or_changed_meanwhile_stops_nobody(engine: Engine, dataset_id: int) -> None:
    other = elsewhere(engine)
    with reading(engine) as session:
        ids = [found or 0 for found in session.exec(select(Conversation.id)).all()]

    def change() -> None:
        with transaction(other) as session:
            conversations.delete_conversation(session, ids[-1], BOB)
            conversations.edit_messages(
                session, ids[-2], 1, ANN, "edit", lambda _old: [{"role": "user", "content": "Hello?"}]
            )

    with after_transactions(engine, 1, change, WRITES):
        changed, refused = approve(engine, dataset_id)
    assert changed == COUNT - 2
    reasons = dict(refused)
    assert "deleted meanwhile" in reasons[ids[-1]]
    assert "no assistant turn" in reasons[ids[-2]]
    other.dispose()


def test_one_whose_process_died_is_brought_to_its_end(engine: Engine, dataset_id: int) -> None:
    def die() -> None:
        raise Interrupted

    with after_transactions(engine, 3, die, WRITES), pytest.raises(Interrupted):
        approve(engine, dataset_id)
    assert approved(engine, dataset_id) == 300
    assert sweep(engine) == 0
    assert sweep(engine, older_than=timedelta(seconds=-1)) == 1
    assert approved(engine, dataset_id) == COUNT
    with reading(engine) as session:
        row = session.exec(select(Conversation).order_by(Conversation.id.desc())).first()  # type: ignore[union-attr]
        assert row is not None
        assert (row.reviewed_by, row.version) == ("Bob", 2)
        assert (row.reviewed_by_user_id, row.reviewed_by_token_id) == (BOB.user_id, BOB.token_id)
        assert session.exec(select(DatasetOperation)).all() == []
