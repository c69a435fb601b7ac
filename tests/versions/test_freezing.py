"""Versions hold what is approved and never change, on SQLite and PostgreSQL."""

from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from app.conversations import service as conversations
from app.conversations import turns
from app.conversations.bulk_review import review_many
from app.conversations.models import Conversation, ReviewState
from app.core.database import transaction
from app.core.errors import Invalid
from app.core.storage import Storage
from app.versions.freezing import freeze
from app.versions.service import read_version
from tests.conversations.conftest import ANN, BOB
from tests.imports.test_service import line, make_dataset, read


def test_a_version_holds_what_is_approved_and_never_changes(engine: Engine, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with transaction(engine) as session:
        dataset = make_dataset(session)
        with pytest.raises(Invalid, match="Nothing is approved"):
            freeze(session, storage, dataset, BOB)
        read(session, dataset, *[line(str(n), outcome="won") for n in range(40)])
        ids = list(session.exec(select(Conversation.id)))
        review_many(session, dataset.id or 0, ids[:30], BOB, ReviewState.APPROVED)  # type: ignore[arg-type]
        first = freeze(session, storage, dataset, BOB)
        assert (first.conversation_count, first.number, first.coverage["outcome"]) == (30, 1, {"won": 30})
        assert 0 < first.validation_count < 5
        assert freeze(session, storage, dataset, BOB).id == first.id
        frozen = list(read_version(storage, first))
        conversations.edit_messages(
            session,
            ids[0],
            2,
            ANN,
            "edit",
            lambda m: turns.update_message(m, 0, content="changed"),  # type: ignore[arg-type]
        )
        second = freeze(session, storage, dataset, BOB)
        assert (second.number, second.conversation_count) == (2, 29)
        assert list(read_version(storage, first)) == frozen


def test_the_held_out_conversations_stay_held_out_when_others_come(engine: Engine, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    held_out = []
    with transaction(engine) as session:
        dataset = make_dataset(session)
        for part in range(2):
            read(session, dataset, *[line(f"{part} {n}") for n in range(100)])
            assert dataset.id is not None
            review_many(session, dataset.id, None, BOB, ReviewState.APPROVED)
            version = freeze(session, storage, dataset, BOB)
            rows = read_version(storage, version)
            held_out.append({row["id"] for row in rows if row["split"] == "validation"})
    # Half of all are new, so some of the first may give way; none comes back into training by chance alone.
    assert held_out[0]
    assert len(held_out[0] & held_out[1]) >= len(held_out[0]) / 4
