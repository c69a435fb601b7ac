"""A database that cannot serve now is told apart from one that refuses, and says why without its statements."""

import sqlite3
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from app.core.database import build_engine, transaction
from app.core.outages import BUSY, FULL, READ_ONLY, brief, is_outage, outage_sentence
from app.core.storage import DISK_FULL
from tests.support.disks import small_disk
from tests.support.people import Person
from tests.support.servers import free_port


def error_of(engine: Engine, statement: str) -> SQLAlchemyError:
    with pytest.raises(SQLAlchemyError) as caught, transaction(engine) as session:
        session.execute(text(statement))
    return caught.value


def test_a_busy_database_is_out_for_now(tmp_path: Path) -> None:
    engine = build_engine(f"sqlite:///{tmp_path / 'studio.db'}", wait_seconds=0.1)
    with transaction(engine) as session:
        session.execute(text("CREATE TABLE kept (words TEXT)"))
        error = error_of(engine, "INSERT INTO kept VALUES ('a secret')")
    assert is_outage(error)
    assert outage_sentence(error) == BUSY
    assert brief(error) == "OperationalError: database is locked"


def test_a_full_disk_is_not_told_as_a_busy_database(tmp_path: Path) -> None:
    engine = build_engine(f"sqlite:///{tmp_path / 'studio.db'}")
    with transaction(engine) as session:
        session.execute(text("CREATE TABLE kept (words TEXT)"))
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "PRAGMA max_page_count = 3"
        )  # the driver's own error for a disk that is full
        with pytest.raises(SQLAlchemyError) as caught:
            connection.exec_driver_sql("INSERT INTO kept VALUES (zeroblob(100000))")
    assert is_outage(caught.value)
    assert outage_sentence(caught.value) == FULL


def test_a_database_that_is_write_protected_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "studio.db"
    sqlite3.connect(path).close()
    engine = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    error = error_of(engine, "CREATE TABLE kept (words TEXT)")
    assert is_outage(error)
    assert outage_sentence(error) == READ_ONLY


def test_a_server_that_is_away_is_out_for_now() -> None:
    engine = build_engine(f"postgresql+psycopg://studio@127.0.0.1:{free_port()}/studio")
    error = error_of(engine, "SELECT 1")
    assert is_outage(error)
    assert outage_sentence(error) == BUSY


@pytest.mark.servers
def test_a_row_that_somebody_keeps_locked_is_not_waited_for_without_end(postgres_url: str) -> None:
    url = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    engine = build_engine(url, wait_seconds=0.3)
    with transaction(engine) as session:
        session.execute(text("CREATE TABLE kept (words TEXT)"))
        session.execute(text("INSERT INTO kept VALUES ('one')"))
    with transaction(engine) as session:
        session.execute(text("UPDATE kept SET words = 'two'"))
        assert is_outage(error_of(engine, "UPDATE kept SET words = 'three'"))
    engine.dispose()


def test_a_statement_that_is_refused_is_no_outage(engine: Engine) -> None:
    assert not is_outage(error_of(engine, "INSERT INTO job (id, kind) VALUES (1, NULL)"))


def test_rest_says_that_the_disk_is_full(app: FastAPI, annotator: Person) -> None:
    def full(_connection: object, cursor: sqlite3.Cursor, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO dataset"):
            cursor.execute("PRAGMA max_page_count = 1")

    event.listen(app.state.engine, "before_cursor_execute", full)
    body = {"name": "x" * 100, "description": "y" * 1000}
    answers = [annotator.api.post("/api/v1/datasets", json={**body, "name": f"{n} x"}) for n in range(200)]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert refused
    assert refused[0].json()["detail"].startswith("The disk of the database is full.")


def test_an_upload_for_which_the_disk_has_no_room_is_told_so(annotator: Person) -> None:
    dataset = annotator.api.post("/api/v1/datasets", json={"name": "calls"}).json()["id"]
    with small_disk(1_200_000):
        told = annotator.api.post(
            f"/api/v1/datasets/{dataset}/imports", files={"file": ("a.jsonl", b"\n" * 3_000_000)}
        )
    assert (told.status_code, told.json()["detail"]) == (503, DISK_FULL)
