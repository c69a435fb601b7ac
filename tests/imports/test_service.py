"""Imports take all or nothing, on SQLite and PostgreSQL."""

import gzip
import io
import json

from sqlalchemy import Engine
from sqlmodel import Session, select

from app.conversations.models import Conversation, Outcome, ReviewState
from app.core.database import transaction
from app.datasets import service
from app.datasets.models import Dataset
from app.imports import service as imports
from app.imports.incoming import IncomingFile
from app.imports.models import DatasetImport
from tests.conversations.conftest import ANN


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


def test_a_packed_file_in_another_encoding_comes_in_and_the_report_says_how_it_was_read(
    engine: Engine,
) -> None:
    body = gzip.compress(
        (line("您好，请问这款红木餐桌多少钱") + "\n" + line("这款沙发有几种颜色")).encode("gbk")
    )
    with (
        IncomingFile(io.BytesIO(body), filename="calls.jsonl.gz") as file,
        transaction(engine) as session,
    ):
        report = imports.import_by_name(session, "Calls", ANN, file)
        assert (report.accepted, report.note_count) == (2, 1)
        assert [(note["line"], note["code"]) for note in report.notes] == [(0, "read_as")]
