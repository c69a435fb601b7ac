"""A run keeps the file of accelerate that it is started with.

Revision ID: 0029
Revises: 0028
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

# SQLite alters by remaking; the new table gives no id twice either.
_NEVER_AGAIN = {"sqlite_autoincrement": True}


def upgrade() -> None:
    op.add_column("run", sa.Column("launch", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("run", table_kwargs=_NEVER_AGAIN) as batch:
        batch.drop_column("launch")
