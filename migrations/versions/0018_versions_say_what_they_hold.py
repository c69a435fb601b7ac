"""A frozen version has a name and a note, and says what was chosen when it was made.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_NEW = ("name", "note", "validation_share", "seed", "selection")
# SQLite alters by remaking; the new table gives no id twice either.
_NEVER_AGAIN = {"sqlite_autoincrement": True}


def upgrade() -> None:
    op.add_column(
        "dataset_version", sa.Column("name", sa.String(length=80), nullable=False, server_default="")
    )
    op.add_column("dataset_version", sa.Column("note", sa.Text(), nullable=False, server_default=""))
    op.add_column("dataset_version", sa.Column("validation_share", sa.Float(), nullable=True))
    op.add_column("dataset_version", sa.Column("seed", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("dataset_version", sa.Column("selection", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    with op.batch_alter_table("dataset_version", table_kwargs=_NEVER_AGAIN) as batch:
        for name in reversed(_NEW):
            batch.drop_column(name)
