"""A run and a sweep keep what they were asked by.

Revision ID: 0031
Revises: 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_TABLES = ("run", "sweep")
# SQLite alters by remaking; the new table gives no id twice either.
_NEVER_AGAIN = {"sqlite_autoincrement": True}


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("asked_hash", sa.String(length=64), nullable=True))


def downgrade() -> None:
    for table in _TABLES:
        with op.batch_alter_table(table, table_kwargs=_NEVER_AGAIN) as batch:
            batch.drop_column("asked_hash")
