"""Migrations lead to exactly the tables of the models, and back to nothing."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

import app.tables
from app.core import migrations
from app.core.database import build_engine
from app.core.settings import Settings


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
