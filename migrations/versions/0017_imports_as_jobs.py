"""A large file is imported by a job, which its report names.

Revision ID: 0017
Revises: 0016
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_INDEX = "ix_dataset_import_job_id"


def upgrade() -> None:
    # In one statement, as SQLite adds no constraint to a table that there is.
    op.execute("ALTER TABLE dataset_import ADD COLUMN job_id INTEGER REFERENCES job (id)")
    op.create_index(_INDEX, "dataset_import", ["job_id"])


def downgrade() -> None:
    op.drop_index(_INDEX, "dataset_import")
    with op.batch_alter_table("dataset_import") as table:
        table.drop_column("job_id")
