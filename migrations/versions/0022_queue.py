"""Waiting jobs have places and priorities and may ask for a device; workers tell that they are there; the queue can be paused.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_NEVER_AGAIN = {"sqlite_autoincrement": True}
_ADDED = ("worker_id", "device_slot", "device", "device_wanted", "place", "rank")


def upgrade() -> None:
    op.add_column("job", sa.Column("rank", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("job", sa.Column("place", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(
        "job", sa.Column("device_wanted", sa.String(length=20), nullable=False, server_default="any")
    )
    op.add_column("job", sa.Column("device", sa.String(length=20), nullable=True))
    op.add_column("job", sa.Column("device_slot", sa.String(length=120), nullable=True))
    op.add_column("job", sa.Column("worker_id", sa.Integer(), nullable=True))
    op.execute("UPDATE job SET place = id")
    op.create_index("uq_job_device_slot", "job", ["device_slot"], unique=True)
    op.create_table(
        "worker",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("host", sa.String(length=120), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("queues", sa.String(length=80), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("devices", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
        **_NEVER_AGAIN,
    )
    op.create_table(
        "queue_pause",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("created_by_user_id", sa.Integer(), nullable=True),
        sa.Column("created_by_token_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queue_pause")),
        **_NEVER_AGAIN,
    )


def downgrade() -> None:
    op.drop_table("queue_pause")
    op.drop_table("worker")
    op.drop_index("uq_job_device_slot", "job")
    with op.batch_alter_table("job", table_kwargs=_NEVER_AGAIN) as batch:
        for name in _ADDED:
            batch.drop_column(name)
