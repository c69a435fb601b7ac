"""Conversations are somebody's to work on, or discarded; what was said when one was sent back stays in its history.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_FACETS = ("dataset_id", "stage", "objection", "language", "product", "updated_by", "staged_by")
# SQLite alters by remaking; the new table gives no id twice either.
_NEVER_AGAIN = {"sqlite_autoincrement": True}


def upgrade() -> None:
    op.add_column("conversation", sa.Column("assigned_to_user_id", sa.Integer(), nullable=True))
    # Whoever handed one in had it.
    op.execute(
        "UPDATE conversation SET assigned_to_user_id = handed_in_by_user_id WHERE handed_in_by_user_id IS NOT NULL"
    )
    op.create_index(
        "ix_conversation_assigned_to",
        "conversation",
        ["assigned_to_user_id", "review_state", "dataset_id", "staged_by"],
    )
    op.create_index(
        "ix_conversation_dataset_assigned",
        "conversation",
        ["dataset_id", "assigned_to_user_id", "review_state", "staged_by"],
    )
    op.add_column("conversation_revision", sa.Column("reason", sa.Text(), nullable=True))
    said = sa.text("reason IS NOT NULL")
    op.create_index(
        "ix_conversation_revision_reasons",
        "conversation_revision",
        ["author_user_id", "id"],
        sqlite_where=said,
        postgresql_where=said,
    )
    op.create_table(
        "conversation_comment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("conversation_id", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=True),
        sa.Column("quote", sa.Text(), nullable=False, server_default=""),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("created_by_user_id", sa.Integer(), nullable=True),
        sa.Column("created_by_token_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_by", sa.String(length=80), nullable=True),
        sa.Column("settled_by_user_id", sa.Integer(), nullable=True),
        sa.Column("settled_by_token_id", sa.Integer(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        **_NEVER_AGAIN,
    )
    op.create_index("ix_conversation_comment_conversation_id", "conversation_comment", ["conversation_id"])


def downgrade() -> None:
    op.drop_table("conversation_comment")
    op.drop_index("ix_conversation_revision_reasons", "conversation_revision")
    with op.batch_alter_table("conversation_revision", table_kwargs=_NEVER_AGAIN) as batch:
        batch.drop_column("reason")
    op.drop_index("ix_conversation_dataset_assigned", "conversation")
    op.drop_index("ix_conversation_assigned_to", "conversation")
    op.execute("UPDATE conversation SET review_state = 'rejected' WHERE review_state = 'discarded'")
    with op.batch_alter_table("conversation", table_kwargs=_NEVER_AGAIN) as batch:
        batch.drop_column("assigned_to_user_id")
