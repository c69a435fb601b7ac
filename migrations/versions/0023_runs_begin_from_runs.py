"""A run may begin from a checkpoint or the adapter of another.

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

# SQLite alters by remaking; the new table gives no id twice either.
_NEVER_AGAIN = {"sqlite_autoincrement": True}


def upgrade() -> None:
    op.add_column("run", sa.Column("begins", sa.JSON(), nullable=True))
    op.add_column("run", sa.Column("parent_run_id", sa.Integer(), nullable=True))
    op.create_index("ix_run_parent_run_id", "run", ["parent_run_id"])


def downgrade() -> None:
    op.drop_index("ix_run_parent_run_id", "run")
    with op.batch_alter_table("run", table_kwargs=_NEVER_AGAIN) as batch:
        batch.drop_column("parent_run_id")
        batch.drop_column("begins")
