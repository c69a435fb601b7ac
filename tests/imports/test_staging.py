"""An import is written in short pieces, and all of it or nothing is there for every reader."""

import asyncio
import io
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from fastapi import FastAPI
from sqlalchemy import Engine, text
from sqlmodel import select

from app.conversations import service as conversations
from app.conversations.counts import dataset_counts
from app.conversations.drafts import create_conversation
from app.conversations.filters import ConversationFilter
from app.conversations.listing import Listing
from app.conversations.models import Conversation
from app.conversations.review import waiting_ids
from app.core.database import reading, transaction, utc_now
from app.core.errors import Conflict, NotFound
from app.curation.lines import dataset_lines
from app.curation.sweeping import keep_sweeping, sweep
from app.datasets import service
from app.datasets.models import Dataset, DatasetOperation, OperationKind
from app.datasets.operations import begin
from app.imports import service as imports
from app.imports.incoming import IncomingFile
from tests.conversations.conftest import ANN, BOB
from tests.support.people import Person
from tests.support.watching import after_transactions, elsewhere, rows_of_each_transaction, somebody_saving
from tests.support.workers import wait_until

COUNT = 1000
NOW = timedelta(seconds=-1)


def body(count: int = COUNT) -> bytes:
    """So many different dialogues."""
    asked = [
        [{"role": "user", "content": f"Question {n}"}, {"role": "assistant", "content": "Yes."}]
        for n in range(count)
    ]
    return b"".join(json.dumps({"messages": messages}).encode() + b"\n" for messages in asked)


def bring(engine: Engine, dataset_id: int, count: int = COUNT) -> None:
    with (
        IncomingFile(io.BytesIO(body(count)), filename="calls.jsonl") as file,
        transaction(engine) as session,
    ):
        imports.import_file(session, dataset_id, ANN, file)


def new_dataset(engine: Engine) -> int:
    with transaction(engine) as session:
        return service.create_dataset(session, ANN, name="Calls").id or 0


def stored(engine: Engine) -> int:
    """Rows there are, seen or not."""
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM conversation")).scalar_one())


class Interrupted(Exception):
    """What a test raises in the middle of an import."""


def test_no_piece_holds_many_rows_and_others_who_save_all_the_time_are_never_turned_away(
    engine: Engine,
) -> None:
    dataset_id = new_dataset(engine)
    with (
        rows_of_each_transaction(engine, "INSERT INTO conversation ") as rows,
        somebody_saving(engine, dataset_id) as saved,
    ):
        bring(engine, dataset_id, 6000)
    assert sum(rows) == 6000
    assert max(rows) <= imports.PIECE
    with engine.connect() as connection:
        staged = "SELECT min(id), max(id) FROM conversation WHERE staged_by IS NOT NULL"
        first, last = connection.execute(text(staged)).one()
    assert sum(first < number < last for number in saved) >= 5
    with reading(engine) as session:
        assert dataset_counts(session, dataset_id).draft == 6000 + len(saved)


def test_what_somebody_wrote_meanwhile_word_for_word_is_there_once(engine: Engine) -> None:
    dataset_id = new_dataset(engine)
    other = elsewhere(engine)
    said = json.loads(body(1))

    def write() -> None:
        with transaction(other) as session:
            create_conversation(session, dataset_id, said, BOB)

    with after_transactions(engine, 2, write):
        bring(engine, dataset_id)
    with reading(engine) as session:
        same = session.exec(select(Conversation).where(Conversation.title == "Question 0")).all()
        assert [row.updated_by for row in same] == ["Bob"]
        assert dataset_counts(session, dataset_id).draft == COUNT
        (report,) = imports.list_imports(session, dataset_id)
        assert (report.accepted, report.duplicates) == (COUNT - 1, 1)
    other.dispose()


def test_until_it_is_whole_no_reader_sees_any_of_it(engine: Engine) -> None:
    dataset_id = new_dataset(engine)
    seen: list[Any] = []

    def look() -> None:
        with reading(other) as session:
            number = session.connection().execute(text("SELECT min(id) FROM conversation")).scalar_one()
            with pytest.raises(NotFound):
                conversations.require_conversation(session, number)
            where = ConversationFilter(dataset_id)
            searched = Listing(session, where.but(query="question"))
            seen.extend(
                [Listing(session, where).total, len(Listing(session, where).page(0, 50)), searched.total]
            )
            seen.extend([dataset_counts(session, dataset_id).total, len(waiting_ids(session, dataset_id))])
            (line,) = dataset_lines(session)
            seen.extend([line.counts.total, int(line.changed_at != line.dataset.created_at)])
            seen.append(len(session.exec(select(Conversation)).all()))

    other = elsewhere(engine)
    with after_transactions(engine, 2, look):
        bring(engine, dataset_id)
    assert seen == [0] * 8
    look_again = dataset_counts
    with reading(engine) as session:
        assert look_again(session, dataset_id).draft == COUNT
    other.dispose()


def test_a_dataset_made_by_an_import_appears_with_what_it_holds(engine: Engine) -> None:
    other = elsewhere(engine)

    def look() -> None:
        with reading(other) as session:
            assert service.find_dataset(session, "New") is None
            assert dataset_lines(session) == []
        with transaction(other) as session, pytest.raises(Conflict, match="just making a dataset"):
            service.create_dataset(session, ANN, name="New")

    with (
        after_transactions(engine, 1, look),
        IncomingFile(io.BytesIO(body()), filename="calls.jsonl") as file,
        transaction(engine) as session,
    ):
        found = imports.import_by_name(session, "New", ANN, file)
        assert found.accepted == COUNT
    with reading(engine) as session:
        (line,) = dataset_lines(session)
        assert (line.dataset.name, line.counts.draft) == ("New", COUNT)
    other.dispose()


def test_an_import_that_fails_in_the_middle_leaves_nothing(engine: Engine) -> None:
    dataset_id = new_dataset(engine)

    def fail() -> None:
        raise Interrupted

    with after_transactions(engine, 2, fail), pytest.raises(Interrupted):
        bring(engine, dataset_id)
    assert stored(engine) == 0
    with reading(engine) as session:
        assert session.exec(select(DatasetOperation)).all() == []
    bring(engine, dataset_id)
    assert stored(engine) == COUNT


def test_meanwhile_the_dataset_is_neither_archived_nor_imported_into_nor_undone(engine: Engine) -> None:
    dataset_id = new_dataset(engine)
    other = elsewhere(engine)

    def try_all() -> None:
        with (
            transaction(other) as session,
            pytest.raises(Conflict, match=r"being imported .*300 of 1,000"),
        ):
            service.archive_dataset(session, ANN, dataset_id)
        with pytest.raises(Conflict, match="being imported"):
            bring(other, dataset_id, 10)
        assert sweep(other) == 0

    with after_transactions(engine, 1, try_all):
        bring(engine, dataset_id)
    assert stored(engine) == COUNT
    other.dispose()


def test_one_taken_for_dead_writes_nothing_more(engine: Engine) -> None:
    dataset_id = new_dataset(engine)
    other = elsewhere(engine)

    def take_for_dead() -> None:
        assert sweep(other, older_than=NOW) == 1

    with (
        after_transactions(engine, 2, take_for_dead),
        pytest.raises(Conflict, match="taken for dead"),
    ):
        bring(engine, dataset_id)
    assert stored(engine) == 0
    other.dispose()


KILLED = """
import os, signal, sys
from sqlalchemy import event
from app.core.database import build_engine
from app.core.settings import Settings
import app.tables
from tests.imports import test_staging
from tests.support import watching
engine = build_engine(Settings(database_url=sys.argv[1]).resolved_database_url)
with watching.after_transactions(engine, 2, lambda: os.kill(os.getpid(), signal.SIGKILL)):
    test_staging.import_new(engine) if sys.argv[2] == "new" else test_staging.bring(engine, int(sys.argv[2]))
"""


def import_new(engine: Engine) -> None:
    """Into a dataset that is not there yet."""
    with IncomingFile(io.BytesIO(body()), filename="calls.jsonl") as file, transaction(engine) as session:
        imports.import_by_name(session, "New", ANN, file)


@pytest.mark.parametrize("into", ["an existing dataset", "a new one"])
def test_a_killed_import_leaves_nothing_to_see_and_is_swept_away(engine: Engine, into: str) -> None:
    dataset_id = new_dataset(engine)
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", KILLED, url, str(dataset_id) if into == "an existing dataset" else "new"]
    root = Path(__file__).parents[2]
    assert subprocess.run(command, cwd=root, check=False, timeout=120).returncode == -9
    assert stored(engine) == 2 * imports.PIECE
    with reading(engine) as session:
        assert [(line.dataset.name, line.counts.total) for line in dataset_lines(session)] == [("Calls", 0)]
    assert sweep(engine) == 0  # for all one knows it is at work
    assert sweep(engine, older_than=NOW) == 1
    assert stored(engine) == 0
    with reading(engine) as session:
        assert session.exec(select(DatasetOperation)).all() == []
        names = session.exec(select(Dataset.name).execution_options(include_hidden=True)).all()
        assert names == ["Calls"]
    bring(engine, dataset_id)
    assert stored(engine) == COUNT


def test_a_person_is_told_what_is_under_way(app: FastAPI, annotator: Person, dataset_id: int) -> None:
    answers = []

    def ask() -> None:
        answers.append(
            annotator.api.post(f"/api/v1/datasets/{dataset_id}/imports", files={"file": ("a.jsonl", body(2))})
        )
        answers.append(annotator.browser.get(f"/datasets/{dataset_id}"))

    with after_transactions(app.state.engine, 1, ask):
        bring(app.state.engine, dataset_id)
    assert answers[0].status_code == 409
    assert "A file is being imported into this dataset (300 of 1,000)" in answers[0].json()["detail"]
    assert "A file is being imported into this dataset (300 of 1,000)" in answers[1].text


def test_where_no_worker_runs_the_web_process_sweeps(app: FastAPI, dataset_id: int) -> None:
    engine = app.state.engine
    with transaction(engine) as session:
        begin(session, dataset_id, OperationKind.IMPORT, ANN, total=5)
        for operation in session.exec(select(DatasetOperation)):
            operation.beat_at = utc_now() - timedelta(hours=1)
            session.add(operation)

    def left() -> int:
        with reading(engine) as session:
            return len(session.exec(select(DatasetOperation)).all())

    def wait_until_swept() -> None:
        wait_until(lambda: left() == 0, timeout_seconds=240, what="the sweeping")

    async def until_swept() -> None:
        sweeping = asyncio.create_task(keep_sweeping(engine, every_seconds=0.01))
        await to_thread.run_sync(wait_until_swept)
        sweeping.cancel()

    assert left() == 1
    asyncio.run(until_swept())
