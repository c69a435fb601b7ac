"""A run that repeats another one keeps what computed that.

Revision ID: 0032
Revises: 0031
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

# SQLite alters by remaking; the new table gives no id twice either.
_NEVER_AGAIN = {"sqlite_autoincrement": True}


def upgrade() -> None:
    op.add_column("run", sa.Column("pieces", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("run", table_kwargs=_NEVER_AGAIN) as batch:
        batch.drop_column("pieces")
