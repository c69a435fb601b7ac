"""Migrations lead to exactly the tables of the models, and back to nothing."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

import app.tables
from app.accounts.models import AuditEvent, Role
from app.accounts.service import Actor
from app.accounts.who import Who
from app.conversations.drafts import create_conversation
from app.conversations.models import Conversation
from app.core import migrations
from app.core.database import build_engine, reading, transaction, utc_now
from app.core.settings import Settings
from app.datasets import service as datasets
from app.dialogue.hashes import words_hash
from app.dialogue.reading import read_conversation
from app.jobs.models import Job
from app.jobs.service import events_after
from app.jobs.stream import as_dict


def test_migrations_give_exactly_the_models_tables(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, app.tables.metadata) == []


def test_migrations_go_down_to_nothing_and_up_again(database_url: str) -> None:
    engine = build_engine(Settings(database_url=database_url).resolved_database_url)
    migrations.upgrade(engine)
    migrations.downgrade(engine, "base")
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    migrations.upgrade(engine)
    assert "conversation" in inspect(engine).get_table_names()
    engine.dispose()


def test_upgrading_twice_changes_nothing(engine: Engine) -> None:
    before = inspect(engine).get_table_names()
    migrations.upgrade(engine)
    assert inspect(engine).get_table_names() == before


def test_no_table_gives_an_id_twice(tmp_path: Path) -> None:
    """PostgreSQL's sequences never go back; SQLite must be told so, table by table."""
    engine = build_engine(f"sqlite:///{tmp_path / 'studio.db'}")
    migrations.upgrade(engine)
    with engine.connect() as connection:
        tables = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all()
    counted = {name for name, sql in tables if "AUTOINCREMENT" in sql}
    wanted = {
        table.name for table in app.tables.metadata.tables.values() if "id" in table.primary_key.columns
    }
    assert counted == wanted
    engine.dispose()


def test_the_id_of_a_deleted_conversation_stays_its_own(engine: Engine) -> None:
    ann = Actor(1, "Ann", Role.ANNOTATOR, "session")
    data = {"messages": [{"role": "user", "content": "Hi"}]}
    with transaction(engine) as session:
        dataset = datasets.create_dataset(session, ann, name="Calls")
        first = create_conversation(session, dataset.id or 0, data, ann)
        session.delete(first)
        session.flush()
        assert (create_conversation(session, dataset.id or 0, data, ann).id or 0) > (first.id or 0)


def test_remaking_tables_keeps_their_rows_and_what_refers_to_them(engine: Engine) -> None:
    ann = Actor(1, "Ann", Role.ANNOTATOR, "session")
    migrations.downgrade(engine, "0002")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO dataset (id, name, description, created_by, created_at) "
            "VALUES (7, 'Old', '', 'Ann', '2026-01-01 00:00:00')"
        )
    migrations.upgrade(engine)
    with transaction(engine) as session:
        dataset = datasets.require_dataset(session, 7)
        create_conversation(session, 7, {"messages": [{"role": "user", "content": "Hi"}]}, ann)
        assert dataset.name == "Old"
    with engine.connect() as connection, pytest.raises(IntegrityError):
        connection.exec_driver_sql("UPDATE conversation SET dataset_id = 999")


def test_the_reason_of_a_failed_job_is_kept_with_a_code(engine: Engine) -> None:
    vanished = "The worker vanished %(count)d times while doing this. The worker's log says more."
    migrations.downgrade(engine, "0004")
    job = (
        "INSERT INTO job (id, kind, state, phase, payload, error, error_params, attempt, releases, event_count, "
        "created_by, created_at) VALUES (:id, 'train', 'failed', '', '{}', :error, :values, 1, 0, 1, 'Ann', "
        "'2026-01-01 00:00:00')"
    )
    event = (
        "INSERT INTO job_event (job_id, seq, kind, payload, created_at) VALUES (:id, 1, 'state', :payload, "
        "'2026-01-01 00:00:00')"
    )
    told = {1: (vanished, {"count": 3}), 2: ("Somebody's folder nanochat is gone.", {}), 3: (None, {})}
    with engine.begin() as connection:
        for job_id, (error, values) in told.items():
            row = {"id": job_id, "error": error, "values": json.dumps(values)}
            payload = {"state": "failed", "error": error, "error_params": values}
            connection.execute(text(job), row)
            connection.execute(text(event), {"id": job_id, "payload": json.dumps(payload)})
    migrations.upgrade(engine)
    with reading(engine) as session:
        jobs = [session.get_one(Job, job_id) for job_id in told]
        told_events = [as_dict(found) for job_id in told for found in events_after(session, job_id, 0)]
        codes, reasons = [found.error_code for found in jobs], [found.error_text for found in jobs]
    assert codes == ["vanished", "unexpected", None]
    assert reasons == [
        vanished % {"count": 3},
        "Somebody's folder nanochat is gone.",
        "",
    ]
    assert [found["error"] or "" for found in told_events] == reasons
    migrations.downgrade(engine, "0004")
    with engine.connect() as connection:
        again = connection.execute(text("SELECT error, error_params FROM job ORDER BY id")).all()
    assert [error for error, _ in again] == [error for error, _ in told.values()]
    migrations.upgrade(engine)


def test_going_a_step_back_loses_no_conversation(engine: Engine) -> None:
    """SQLite alters many things by remaking a table, and dropping one deletes what refers to it."""
    ann = Actor(1, "Ann", Role.ANNOTATOR, "session")
    data = {"messages": [{"role": "user", "content": "Hi"}]}
    with transaction(engine) as session:
        dataset = datasets.create_dataset(session, ann, name="Calls")
        create_conversation(session, dataset.id or 0, data, ann)
    migrations.downgrade(engine, "0001")
    migrations.upgrade(engine)
    with transaction(engine) as session:
        assert len(session.exec(select(Conversation.id)).all()) == 1


def test_older_conversations_get_the_hash_of_their_words_and_no_tools(engine: Engine) -> None:
    call = {"type": "function", "function": {"name": "price", "arguments": {"b": 1, "a": "价格"}}}
    messages = [
        {"role": "user", "content": "多少钱？"},
        {"role": "assistant", "content": "", "train": False, "tool_calls": [call]},
        {"role": "assistant", "content": "Twelve.", "tool_calls": []},
    ]
    migrations.downgrade(engine, "0003")
    old = sa.table(
        "conversation",
        *(sa.column(name) for name in ("dataset_id", "title", "review_state", "content_hash", "search_text")),
        *(sa.column(name) for name in ("version", "updated_by", "created_at", "updated_at")),
        sa.column("messages", sa.JSON),
        sa.column("tags", sa.JSON),
    )
    row = {"dataset_id": 7, "title": "", "review_state": "draft", "content_hash": "kept", "search_text": ""}
    row |= {"version": 1, "updated_by": "Ann", "created_at": utc_now(), "updated_at": utc_now(), "tags": []}
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO dataset (id, name, description, created_by, created_at) "
            "VALUES (7, 'Old', '', 'Ann', '2026-01-01 00:00:00')"
        )
        connection.execute(sa.insert(old), [{**row, "messages": messages} for _ in range(3)])
    migrations.upgrade(engine)
    with transaction(engine) as session:
        found = session.exec(select(Conversation)).all()
        expected = words_hash(read_conversation({"messages": messages}))
        assert [(one.words_hash, one.content_hash, one.tools) for one in found] == [
            (expected, "kept", [])
        ] * 3


def test_rows_from_before_ids_were_kept_have_the_name_alone(engine: Engine) -> None:
    migrations.downgrade(engine, "0006")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO dataset (id, name, description, created_by, created_at) "
            "VALUES (7, 'Old', '', 'Ann (ci)', '2026-01-01 00:00:00')"
        )
        connection.exec_driver_sql(
            "INSERT INTO audit_event (actor, action, subject, created_at) "
            "VALUES ('Ann', 'dataset.create', 'dataset/7', '2026-01-01 00:00:00')"
        )
    migrations.upgrade(engine)
    with transaction(engine) as session:
        creator = datasets.require_dataset(session, 7).creator
        assert (creator, creator.via) == (Who("Ann (ci)"), None)
        line = session.exec(select(AuditEvent)).one()
        assert (line.actor, line.actor_user_id, line.actor_token_id) == ("Ann", None, None)
        ann = Actor(3, "Ann (ci)", Role.ANNOTATOR, "token", 9)
        made = datasets.create_dataset(session, ann, name="New").creator
        assert (made, made.via) == (Who("Ann (ci)", 3, 9), "token")
