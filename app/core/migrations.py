"""Bringing a database to the newest schema. Alembic is loaded where something is to be done, not to see that nothing is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, Engine, inspect, text

from app.files import shipped

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS_DIR: Final = shipped("migrations")


def all_revisions() -> list[str]:
    """The schemas that this program knows, oldest first: the numbers that the files of migrations begin with."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS_DIR / "versions").glob("[0-9]*.py"))


def head_revision() -> str:
    """The schema that this program works with."""
    return all_revisions()[-1]


def current_revision(engine: Engine) -> str | None:
    """The database's schema; None when it has none yet."""
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return found


def alembic_config() -> "Config":
    """Alembic's settings for this project."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_DIR))
    return config


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Apply all migrations up to `revision` in one transaction; nothing to do is quick."""
    from alembic import command

    config = alembic_config()
    with migrating(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Go back to `revision`."""
    from alembic import command

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
