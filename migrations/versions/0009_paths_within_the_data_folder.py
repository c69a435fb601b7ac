"""Folders of base models are stored relative to the stored files, so that the data folder may move.

Whatever a job prepared lies in `storage/jobs/JOB/ATTEMPT/…` of a data folder, wherever that was at the time: the path
from `jobs` on is what stays true, also for a folder that was moved before this.

Revision ID: 0009
Revises: 0008
"""

import re
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.core.settings import get_settings

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_STORED = re.compile(r".*/storage/(jobs/\d+/\d+/.+)", re.DOTALL)
# SQLite alters by remaking; the new table gives no id twice either.
_NEVER_AGAIN = {"sqlite_autoincrement": True}
_MODEL = sa.table(
    "base_model",
    sa.column("id", sa.Integer),
    sa.column("path", sa.String),
    sa.column("tokenizer_path", sa.String),
    sa.column("info", sa.JSON),
)
_JOB = sa.table(
    "job", sa.column("id", sa.Integer), sa.column("kind", sa.String), sa.column("result", sa.JSON)
)


def upgrade() -> None:
    op.add_column("base_model", sa.Column("tokenizer_path", sa.String(), nullable=True))
    connection = op.get_bind()
    for model_id, path, info in connection.execute(
        sa.select(_MODEL.c.id, _MODEL.c.path, _MODEL.c.info)
    ).all():
        facts = dict(info)
        tokenizer = facts.pop("tokenizer_path", None)
        values = {"path": _relative(path), "tokenizer_path": _relative(tokenizer), "info": facts}
        connection.execute(sa.update(_MODEL).where(_MODEL.c.id == model_id).values(**values))
    _rewrite_results(_relative)


def downgrade() -> None:
    connection = op.get_bind()
    columns = (_MODEL.c.id, _MODEL.c.path, _MODEL.c.tokenizer_path, _MODEL.c.info)
    for model_id, path, tokenizer, info in connection.execute(sa.select(*columns)).all():
        facts = {**info, "tokenizer_path": _absolute(tokenizer)} if tokenizer else info
        values = {"path": _absolute(path), "info": facts}
        connection.execute(sa.update(_MODEL).where(_MODEL.c.id == model_id).values(**values))
    _rewrite_results(_absolute)
    with op.batch_alter_table("base_model", table_kwargs=_NEVER_AGAIN) as batch:
        batch.drop_column("tokenizer_path")


def _rewrite_results(changed: Any) -> None:
    connection = op.get_bind()
    prepared = sa.select(_JOB.c.id, _JOB.c.result).where(_JOB.c.kind == "prepare_base_model")
    for job_id, result in connection.execute(prepared).all():
        if result and result.get("path"):
            value = {**result, "path": changed(result["path"])}
            connection.execute(sa.update(_JOB).where(_JOB.c.id == job_id).values(result=value))


def _relative(path: str | None) -> str | None:
    found = _STORED.fullmatch(path) if path else None
    return found[1] if found else path


def _absolute(path: str | None) -> str | None:
    """In the data folder of this process."""
    return str(get_settings().storage_dir.resolve() / Path(path)) if path else path
