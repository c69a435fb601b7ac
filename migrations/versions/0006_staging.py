"""Changes of many conversations are operations in short pieces; what an import has not finished is staged.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# name: columns before, and columns after them now
_INDEXES: dict[str, tuple[list[str], list[str]]] = {
    "ix_conversation_dataset_review": (["dataset_id", "review_state", "id"], ["staged_by", "version"]),
    "ix_conversation_dataset_id": (["dataset_id", "id"], ["staged_by"]),
    "ix_conversation_dataset_outcome": (["dataset_id", "outcome", "id", "review_state"], ["staged_by"]),
    "ix_conversation_dataset_updated": (["dataset_id", "updated_at"], ["staged_by"]),
}


def upgrade() -> None:
    op.create_table(
        "dataset_operation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("state", sa.String(length=30), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("actor_id", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=30), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["dataset.id"],
            name=op.f("fk_dataset_operation_dataset_id_dataset"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_operation")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_dataset_operation_dataset_id", "dataset_operation", ["dataset_id"])
    op.create_index("ix_dataset_operation_state_kind", "dataset_operation", ["state", "kind"])
    op.add_column("dataset", sa.Column("hidden", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_dataset_hidden", "dataset", ["hidden"])
    op.add_column("conversation", sa.Column("staged_by", sa.Integer(), nullable=True))
    for name, (columns, more) in _INDEXES.items():
        op.drop_index(name, "conversation")
        op.create_index(name, "conversation", [*columns, *more])


def downgrade() -> None:
    # What is staged or being erased would come to light.
    unfinished = "SELECT id FROM dataset_operation WHERE state = 'running' AND kind = 'import'"
    op.execute(f"DELETE FROM conversation WHERE staged_by IN ({unfinished})")  # noqa: S608
    op.execute("DELETE FROM conversation WHERE dataset_id IN (SELECT id FROM dataset WHERE hidden)")
    # Foreign keys delete nothing during a migration on SQLite.
    op.execute("DELETE FROM conversation_revision WHERE conversation_id NOT IN (SELECT id FROM conversation)")
    op.execute("DELETE FROM dataset_operation")
    op.execute("DELETE FROM dataset WHERE hidden")
    for name, (columns, _more) in _INDEXES.items():
        op.drop_index(name, "conversation")
        op.create_index(name, "conversation", columns)
    op.drop_column("conversation", "staged_by")
    op.drop_index("ix_dataset_hidden", "dataset")
    op.drop_column("dataset", "hidden")
    op.drop_table("dataset_operation")
