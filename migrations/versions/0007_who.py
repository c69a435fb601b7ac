"""Who did something is kept by id, beside the name as it was. Rows from before keep the name alone.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NAMES = (
    *(
        (table, "created_by")
        for table in (
            "job",
            "dataset",
            "mask_check",
            "dataset_import",
            "base_model",
            "run",
            "dataset_version",
            "evaluation",
        )
    ),
    ("run", "confirmed_by"),
    ("conversation", "reviewed_by"),
    ("conversation", "updated_by"),
    ("conversation_revision", "author"),
    ("audit_event", "actor"),
)


def upgrade() -> None:
    for table, name in _NAMES:
        op.add_column(table, sa.Column(f"{name}_user_id", sa.Integer(), nullable=True))
        op.add_column(table, sa.Column(f"{name}_token_id", sa.Integer(), nullable=True))
    op.add_column("dataset_operation", sa.Column("actor_token_id", sa.Integer(), nullable=True))
    op.create_index("ix_audit_event_actor_user_id", "audit_event", ["actor_user_id"])


def downgrade() -> None:
    op.drop_column("dataset_operation", "actor_token_id")
    op.drop_index("ix_audit_event_actor_user_id", "audit_event")
    for table, name in reversed(_NAMES):
        op.drop_column(table, f"{name}_token_id")
        op.drop_column(table, f"{name}_user_id")
