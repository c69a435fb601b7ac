"""Exports are pushed to a model hub: a row for each push.

Revision ID: 0030
Revises: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hub_push",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("export_id", sa.Integer(), nullable=False),
        sa.Column("repository", sa.String(length=200), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("created_by_user_id", sa.Integer(), nullable=True),
        sa.Column("created_by_token_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["export_id"],
            ["run_export.id"],
            name=op.f("fk_hub_push_export_id_run_export"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_hub_push_job_id_job")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hub_push")),
        sa.UniqueConstraint("job_id", name=op.f("uq_hub_push_job_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_hub_push_export_id", "hub_push", ["export_id"])


def downgrade() -> None:
    op.drop_table("hub_push")
    # Nobody would know what to do with them.
    op.execute("DELETE FROM job WHERE kind = 'push'")
