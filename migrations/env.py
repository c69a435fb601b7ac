"""Alembic's entry point: the tables' metadata, on the connection the caller gives."""

from alembic import context
from sqlalchemy import Connection

from app.core.database import EnumText, UtcDateTime, build_engine
from app.core.migrations import migrating
from app.core.settings import get_settings
from app.tables import metadata


def _render_item(kind: str, item: object, _context: object) -> str | bool:
    # Migrations stay readable without the application's own types.
    if kind == "type" and isinstance(item, EnumText):
        return "sa.String(length=30)"
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and type(item).__name__ == "AutoString":
        length = getattr(item, "length", None)
        return f"sa.String(length={length})" if length else "sa.String()"
    return False


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_item=_render_item,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    with migrating(build_engine(get_settings().resolved_database_url)) as own:
        _run(own)
