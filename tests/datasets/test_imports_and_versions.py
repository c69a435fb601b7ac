"""Imports take all or nothing, versions never change: on SQLite and PostgreSQL."""

import gzip
import io
import json
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from app.conversations import service as conversations
from app.conversations import turns
from app.conversations.filters import ConversationFilter
from app.conversations.listing import Listing
from app.conversations.models import Conversation, Outcome, ReviewState
from app.core.database import transaction
from app.core.errors import Conflict, Invalid
from app.core.storage import Storage
from app.datasets import imports, service, versions
from app.datasets.incoming import IncomingFile
from app.datasets.models import Dataset, DatasetImport
from tests.conversations.conftest import ANN, BOB


def line(text: str, **labels: object) -> str:
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "How many people?"}]
    return json.dumps({"messages": messages, **labels}, ensure_ascii=False)


def read(
    session: Session, dataset: Dataset, *lines: str, skip_bad: bool = False, filename: str = "calls.jsonl"
) -> DatasetImport:
    stream = io.BytesIO("\n".join(lines).encode())
    assert dataset.id is not None
    with IncomingFile(stream, filename=filename, skip_bad=skip_bad) as file:
        return imports.import_file(session, dataset.id, ANN, file)


def make_dataset(session: Session) -> Dataset:
    return service.create_dataset(session, ANN, name="Calls")


def count(session: Session) -> int:
    return len(session.exec(select(Conversation.id)).all())


def test_one_bad_line_keeps_the_whole_file_out_and_is_named(engine: Engine) -> None:
    with transaction(engine) as session:
        dataset = make_dataset(session)
        report = read(session, dataset, line("a"), '{"messages": [{"role": "narrator"', line("b"))
        assert (report.accepted, report.problem_count, count(session)) == (0, 1, 0)
        assert report.problems[0]["line"] == 2


def test_skipping_bad_lines_brings_in_the_rest(engine: Engine) -> None:
    with transaction(engine) as session:
        dataset = make_dataset(session)
        report = read(session, dataset, line("a"), "nonsense", line("b"), skip_bad=True)
        assert (report.accepted, report.problem_count, count(session)) == (2, 1, 2)


def test_the_same_dialogue_comes_in_once(engine: Engine) -> None:
    with transaction(engine) as session:
        dataset = make_dataset(session)
        read(session, dataset, line("a"))
        report = read(session, dataset, line("a"), line("b"), line("b"), line("c"))
        assert (report.accepted, report.duplicates, count(session)) == (2, 2, 3)


def test_a_conversation_that_cannot_be_stored_is_a_problem_of_its_line(engine: Engine) -> None:
    with transaction(engine) as session:
        dataset = make_dataset(session)
        report = read(session, dataset, line("a"), line("b", stage="x" * 61))
        assert (report.accepted, [item["line"] for item in report.problems]) == (0, [2])


def test_labels_and_review_state_come_in_as_they_should(engine: Engine) -> None:
    with transaction(engine) as session:
        dataset = make_dataset(session)
        read(session, dataset, line("太贵了", outcome="won", objection="price", tags=["b2b"]))
        found = session.exec(select(Conversation)).one()
        assert (found.outcome, found.objection, found.tags) == (Outcome.WON, "price", ["b2b"])
        assert (found.review_state, found.title) == (ReviewState.DRAFT, "太贵了")


@pytest.mark.parametrize("name", ["", "   ", "x" * 81])
def test_a_dataset_needs_a_name_of_its_own(engine: Engine, name: str) -> None:
    with transaction(engine) as session:
        make_dataset(session)
        with pytest.raises(Invalid):
            service.create_dataset(session, ANN, name=name)
        with pytest.raises(Conflict):
            service.create_dataset(session, ANN, name=" Calls ")


def test_search_finds_every_word_anywhere_and_takes_wildcards_as_they_are(engine: Engine) -> None:
    with transaction(engine) as session:
        dataset = make_dataset(session)
        read(session, dataset, line("Is 100% safe?"), line("你们的报价太贵了"), line("A_B and Straße"))
        assert dataset.id is not None
        for query, expected in (
            ("100%", 1),
            ("%", 1),
            ("_", 1),
            ("报价", 1),
            ("PEOPLE how", 3),
            ("STRASSE", 1),
            ("people nothing", 0),
        ):
            where = ConversationFilter(dataset.id, query=query)
            assert (Listing(session, where).total, len(Listing(session, where).page(0, 50))) == (
                expected,
            ) * 2, query


def test_the_place_in_a_list_follows_its_filter(engine: Engine) -> None:
    with transaction(engine) as session:
        dataset = make_dataset(session)
        read(session, dataset, *[line(str(n), outcome="won" if n % 2 else "lost") for n in range(6)])
        rows = session.exec(select(Conversation).order_by(Conversation.id)).all()  # type: ignore[arg-type]
        assert dataset.id is not None
        place = Listing(session, ConversationFilter(dataset.id, outcome=Outcome.WON)).place_of(rows[3])
        assert (place.number, place.total, place.previous_id, place.next_id) == (2, 3, rows[1].id, rows[5].id)
        # Told by index or by search, with or without the conversation itself in the list, it is the same.
        for where in (ConversationFilter(dataset.id), ConversationFilter(dataset.id, outcome=Outcome.LOST)):
            for row in rows:
                plain, searched = Listing(session, where), Listing(session, where.but(query="people"))
                assert plain.place_of(row) == searched.place_of(row)
                assert (plain.counts, plain.total) == (dict(searched.counts), searched.total)
                assert plain.page(1, 3) == searched.page(1, 3)


def test_a_version_holds_what_is_approved_and_never_changes(engine: Engine, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with transaction(engine) as session:
        dataset = make_dataset(session)
        with pytest.raises(Invalid, match="Nothing is approved"):
            versions.freeze(session, storage, dataset, BOB)
        read(session, dataset, *[line(str(n), outcome="won") for n in range(40)])
        ids = list(session.exec(select(Conversation.id)))
        conversations.review_many(session, ids[:30], BOB, ReviewState.APPROVED)  # type: ignore[arg-type]
        first = versions.freeze(session, storage, dataset, BOB)
        assert (first.conversation_count, first.number, first.coverage["outcome"]) == (30, 1, {"won": 30})
        assert 0 < first.validation_count < 5
        assert versions.freeze(session, storage, dataset, BOB).id == first.id
        frozen = list(versions.read_version(storage, first))
        conversations.edit_messages(
            session,
            ids[0],
            2,
            ANN,
            "edit",
            lambda m: turns.update_message(m, 0, content="changed"),  # type: ignore[arg-type]
        )
        second = versions.freeze(session, storage, dataset, BOB)
        assert (second.number, second.conversation_count) == (2, 29)
        assert list(versions.read_version(storage, first)) == frozen


def test_the_held_out_conversations_stay_held_out_when_others_come(engine: Engine, tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    held_out = []
    with transaction(engine) as session:
        dataset = make_dataset(session)
        for part in range(2):
            read(session, dataset, *[line(f"{part} {n}") for n in range(100)])
            assert dataset.id is not None
            conversations.review_many(
                session, service.draft_ids(session, dataset.id), BOB, ReviewState.APPROVED
            )
            version = versions.freeze(session, storage, dataset, BOB)
            rows = versions.read_version(storage, version)
            held_out.append({row["id"] for row in rows if row["split"] == "validation"})
    # Half of all are new, so some of the first may give way; none comes back into training by chance alone.
    assert held_out[0]
    assert len(held_out[0] & held_out[1]) >= len(held_out[0]) / 4


def test_a_packed_file_is_refused_by_its_content_whatever_its_name(engine: Engine) -> None:
    with transaction(engine) as session:
        dataset = make_dataset(session)
        assert dataset.id is not None
        stream = io.BytesIO(gzip.compress(line("a").encode()))
        with IncomingFile(stream, filename="calls.jsonl", skip_bad=True) as file:
            report = imports.import_file(session, dataset.id, ANN, file)
        assert (report.accepted, [item["line"] for item in report.problems]) == (0, [0])
