"""Runs belong to sweeps: a few values of some settings tried as a group.

Revision ID: 0024
Revises: 0023
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_INDEX = "ix_run_sweep_id"


def upgrade() -> None:
    op.create_table(
        "sweep",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("mask_check_id", sa.Integer(), nullable=False),
        sa.Column("varied", sa.JSON(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=80), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("created_by_user_id", sa.Integer(), nullable=True),
        sa.Column("created_by_token_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["mask_check_id"], ["mask_check.id"], name=op.f("fk_sweep_mask_check_id_mask_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweep")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_sweep_idempotency_key")),
        sqlite_autoincrement=True,
    )
    # In one statement, as SQLite adds no constraint to a table that there is.
    op.execute("ALTER TABLE run ADD COLUMN sweep_id INTEGER REFERENCES sweep (id)")
    op.create_index(_INDEX, "run", ["sweep_id"])


def downgrade() -> None:
    op.drop_index(_INDEX, "run")
    with op.batch_alter_table("run", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.drop_column("sweep_id")
    op.drop_table("sweep")
