"""Bringing a database to the newest schema."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine

from app.files import shipped

MIGRATIONS_DIR: Final = shipped("migrations")


def alembic_config() -> Config:
    """Alembic's settings for this project."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_DIR))
    return config


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Apply all migrations up to `revision` in one transaction; nothing to do is quick."""
    config = alembic_config()
    with migrating(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Go back to `revision`."""
    config = alembic_config()
    with migrating(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


@contextmanager
def migrating(engine: Engine) -> Iterator[Connection]:
    """A transaction in which SQLite may remake tables; committed at the end.

    SQLite alters many things by making a table anew and dropping the old one, which deletes what refers to it
    unless foreign keys are off, and they can be turned off before a transaction only. They are checked at its end.
    """
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            with connection.begin():
                yield connection
            return
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                yield connection
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                if broken is not None:
                    raise RuntimeError(f"the migration left {broken[0]} referring to what is not there")
        finally:
            driver.execute("PRAGMA foreign_keys=ON")
