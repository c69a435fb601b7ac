"""A run may have a second dataset version mixed in, with a mask check of its own.

Revision ID: 0027
Revises: 0026
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

# SQLite alters by remaking; the new table gives no id twice either.
_NEVER_AGAIN = {"sqlite_autoincrement": True}


def upgrade() -> None:
    with op.batch_alter_table("run", table_kwargs=_NEVER_AGAIN) as batch:
        batch.add_column(sa.Column("mix_version_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("mix_check_id", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("mix_arrays_hash", sa.String(length=64), nullable=True))
        batch.create_foreign_key("fk_run_mix_version_id", "dataset_version", ["mix_version_id"], ["id"])
        batch.create_foreign_key("fk_run_mix_check_id", "mask_check", ["mix_check_id"], ["id"])
        batch.create_index("ix_run_mix_version_id", ["mix_version_id"])


def downgrade() -> None:
    with op.batch_alter_table("run", table_kwargs=_NEVER_AGAIN) as batch:
        batch.drop_index("ix_run_mix_version_id")
        batch.drop_constraint("fk_run_mix_check_id", type_="foreignkey")
        batch.drop_constraint("fk_run_mix_version_id", type_="foreignkey")
        batch.drop_column("mix_arrays_hash")
        batch.drop_column("mix_check_id")
        batch.drop_column("mix_version_id")
