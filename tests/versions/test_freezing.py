"""Versions hold what is approved and never change, on SQLite and PostgreSQL."""

from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import col, select

from app.conversations import review, turns
from app.conversations import service as conversations
from app.conversations.bulk_review import review_many
from app.conversations.filters import ConversationFilter
from app.conversations.models import Conversation, ReviewState
from app.core.database import transaction
from app.core.errors import Conflict, Invalid, Unavailable
from app.core.storage import Storage
from app.dialogue.labels import Outcome
from app.versions.changes import Changes, changes_of
from app.versions.exports import export_version
from app.versions.files import writing_sentences
from app.versions.freezing import freeze
from app.versions.frozen import frozen_conversation, frozen_page
from app.versions.models import DatasetVersion
from app.versions.options import FreezeOptions
from app.versions.service import list_versions, read_version
from tests.conversations.conftest import ANN, BOB
from tests.imports.test_service import line, make_dataset, read
from tests.support.watching import after_transactions, elsewhere


def test_a_version_holds_what_is_approved_and_never_changes(engine: Engine, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with transaction(engine) as session:
        dataset = make_dataset(session)
        with pytest.raises(Invalid, match="Nothing is approved"):
            freeze(session, storage, dataset, BOB)
        read(session, dataset, *[line(str(n), outcome="won") for n in range(40)])
        ids = list(session.exec(select(Conversation.id)))
        review_many(session, dataset.id or 0, ids[:30], BOB, ReviewState.APPROVED)  # type: ignore[arg-type]
        first = freeze(session, storage, dataset, BOB).version
        assert (first.conversation_count, first.number, first.coverage["outcome"]) == (30, 1, {"won": 30})
        assert 0 < first.validation_count < 5
        assert freeze(session, storage, dataset, BOB).version.id == first.id
        frozen = list(read_version(storage, first))
        conversations.edit_messages(
            session,
            ids[0],
            2,
            ANN,
            "edit",
            lambda m: turns.update_message(m, 0, content="changed"),  # type: ignore[arg-type]
        )
        second = freeze(session, storage, dataset, BOB).version
        assert (second.number, second.conversation_count) == (2, 29)
        assert list(read_version(storage, first)) == frozen
        assert changes_of(storage, first, second) == Changes(added=0, changed=0, removed=1)
        review_many(session, dataset.id or 0, [ids[0], ids[39]], BOB, ReviewState.APPROVED)  # type: ignore[list-item]
        third = freeze(session, storage, dataset, BOB).version
        assert changes_of(storage, first, third) == Changes(added=1, changed=1, removed=0)
        assert changes_of(storage, second, third) == Changes(added=2, changed=0, removed=0)
        storage.path(third.storage_key).write_bytes(b"")
        with pytest.raises(Conflict, match="damaged"):
            changes_of(storage, third, first)


def test_what_changes_while_it_is_written_is_written_again(engine: Engine, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    other = elsewhere(engine)
    with transaction(engine) as session:
        dataset = make_dataset(session)
        read(session, dataset, *[line(str(n)) for n in range(500)])
        review_many(session, dataset.id or 0, None, BOB, ReviewState.APPROVED)
        first, *_rest, last = session.exec(select(Conversation.id).order_by(col(Conversation.id))).all()

    def change() -> None:
        """The first page is read by now; the last one not yet."""
        with transaction(other) as session:
            for number, text in ((first or 0, "changed first"), (last or 0, "changed last")):
                conversations.edit_messages(
                    session,
                    number,
                    2,
                    ANN,
                    "edit",
                    lambda m, text=text: turns.update_message(m, 0, content=text),
                )
                bulk = session.get_one(Conversation, number)
                review.review(session, number, bulk.version, BOB, ReviewState.APPROVED)

    with after_transactions(engine, 2, change, "SELECT conversation.id, conversation.dataset_id"):
        with transaction(engine) as session:
            version = freeze(session, storage, dataset, BOB).version
        frozen = list(read_version(storage, version))
    texts = [row["messages"][0]["content"] for row in (frozen[0], frozen[-1])]
    assert (len(frozen), texts) == (500, ["changed first", "changed last"])
    assert [path.name for path in storage.folder("versions").iterdir()] == [f"{version.content_hash}.jsonl"]
    other.dispose()


def test_no_version_is_frozen_from_half_an_approval(engine: Engine, tmp_path: Path) -> None:
    other = elsewhere(engine)
    with transaction(engine) as session:
        dataset = make_dataset(session)
        read(session, dataset, *[line(str(n)) for n in range(300)])

    def try_to_freeze() -> None:
        with transaction(other) as session, pytest.raises(Conflict, match="being reviewed"):
            freeze(session, Storage(tmp_path), dataset, BOB)

    with (
        after_transactions(engine, 1, try_to_freeze, "UPDATE conversation "),
        transaction(engine) as session,
    ):
        review_many(session, dataset.id or 0, None, BOB, ReviewState.APPROVED)
    other.dispose()


def test_a_disk_that_cannot_be_written_to_is_said(engine: Engine) -> None:
    with transaction(engine) as session:
        dataset = make_dataset(session)
        read(session, dataset, line("a"))
        review_many(session, dataset.id or 0, None, BOB, ReviewState.APPROVED)
        with pytest.raises(Unavailable, match="cannot be written to"):
            freeze(session, Storage(Path("/proc/nowhere")), dataset, BOB)
        assert list_versions(session) == []
    with (
        pytest.raises(Unavailable, match="disk is full"),
        writing_sentences(),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"x")


@pytest.mark.parametrize(("harm", "said"), [("change", "damaged"), ("remove", "gone")])
def test_a_file_that_is_not_what_was_frozen_is_neither_exported_nor_shown(
    engine: Engine, tmp_path: Path, harm: str, said: str
) -> None:
    storage = Storage(tmp_path)
    with transaction(engine) as session:
        dataset = make_dataset(session)
        read(session, dataset, line("a price"))
        review_many(session, dataset.id or 0, None, BOB, ReviewState.APPROVED)
        version = freeze(session, storage, dataset, BOB).version
        number = next(read_version(storage, version))["id"]
        frozen_conversation(storage, version, number)
        path = storage.path(version.storage_key)
        if harm == "change":
            path.write_bytes(path.read_bytes().replace(b"a price", b"a prize"))
        else:
            path.unlink()
        with pytest.raises(Conflict, match=said):
            export_version(storage, dataset, version, "messages")
        with pytest.raises(Conflict, match=said):
            frozen_conversation(storage, version, number)
        again = freeze(session, storage, dataset, BOB).version  # as the sentence says
        assert again.id == version.id
        assert frozen_conversation(storage, version, number)["id"] == number


def test_the_held_out_conversations_stay_held_out_when_others_come(engine: Engine, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    held_out = []
    with transaction(engine) as session:
        dataset = make_dataset(session)
        for part in range(2):
            read(session, dataset, *[line(f"{part} {n}") for n in range(100)])
            assert dataset.id is not None
            review_many(session, dataset.id, None, BOB, ReviewState.APPROVED)
            version = freeze(session, storage, dataset, BOB).version
            rows = read_version(storage, version)
            held_out.append({row["id"] for row in rows if row["split"] == "validation"})
    # Half of all are new, so some of the first may give way; none comes back into training by chance alone.
    assert held_out[0]
    assert len(held_out[0] & held_out[1]) >= len(held_out[0]) / 4


def test_a_version_holds_what_was_chosen_and_holds_out_as_many_as_asked(
    engine: Engine, tmp_path: Path
) -> None:
    storage = Storage(tmp_path)
    with transaction(engine) as session:
        dataset = make_dataset(session)
        won = [line(f"won {n}", outcome="won", stage="demo" if n % 2 else "closing") for n in range(6)]
        read(session, dataset, *won, *[line(f"lost {n}", outcome="lost") for n in range(14)])
        assert dataset.id is not None
        review_many(session, dataset.id, None, BOB, ReviewState.APPROVED)

        def made(**options: object) -> tuple[DatasetVersion, set[int], set[int]]:
            version = freeze(session, storage, dataset, BOB, FreezeOptions(**options)).version  # type: ignore[arg-type]
            rows = list(read_version(storage, version))
            return (
                version,
                {row["id"] for row in rows},
                {row["id"] for row in rows if row["split"] != "train"},
            )

        where = ConversationFilter(dataset.id, outcome=Outcome.WON, stage="demo")
        few, ids, held_out = made(name="  Won,  demo ", note="For Ann", where=where)
        assert (few.name, few.note, few.selection) == (
            "Won, demo",
            "For Ann",
            {"outcome": "won", "stage": "demo"},
        )
        assert (len(ids), held_out, few.coverage["outcome"]) == (3, set(), {"won": 3})
        # One is left to train on, whatever the share.
        assert len(made(where=where.but(query="won 1"), validation_share=0.5)[2]) == 0
        half, everything, first = made(validation_share=0.5)
        other, _ids, second = made(validation_share=0.5, seed=7)
        assert (len(everything), len(first), len(second)) == (20, 10, 10)
        assert first != second
        assert (other.number, other.seed, half.selection) == (half.number + 1, 7, {})
        assert made(validation_share=0.0)[0].validation_count == 0
        # More of the same seed holds out those too.
        assert made(validation_share=0.25)[2] < first
        assert [row["id"] for row in frozen_page(storage, half, 18, 5)] == sorted(everything)[18:]
        for wrong, field in (
            ({"validation_share": 0.6}, "validation_share"),
            ({"seed": -1}, "seed"),
            ({"name": "x" * 81}, "name"),
            ({"note": "x" * 2001}, "note"),
        ):
            with pytest.raises(Invalid) as refused:
                made(**wrong)
            assert refused.value.field == field
        with pytest.raises(Invalid, match="nothing fits this choice"):
            made(where=where.but(query="nowhere"))
