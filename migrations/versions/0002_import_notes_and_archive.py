"""Imports keep their notes, datasets can be archived, lists of many conversations find their indexes.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_conversation_dataset_id": ["dataset_id", "id"],
    "ix_conversation_dataset_outcome": ["dataset_id", "outcome", "id", "review_state"],
    "ix_conversation_dataset_updated": ["dataset_id", "updated_at"],
}


def upgrade() -> None:
    for name, columns in _INDEXES.items():
        op.create_index(name, "conversation", columns)
    op.add_column("dataset", sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True))
    # Imports from before this version have no notes.
    op.add_column("dataset_import", sa.Column("note_count", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("dataset_import", sa.Column("notes", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    # Not in batch mode: it would drop and remake the tables on SQLite, and with them all that refers to them.
    op.drop_column("dataset_import", "notes")
    op.drop_column("dataset_import", "note_count")
    op.drop_column("dataset", "archived_at")
    for name in _INDEXES:
        op.drop_index(name, "conversation")
