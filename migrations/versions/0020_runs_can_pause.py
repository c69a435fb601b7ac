"""Jobs count the time in which a worker was at them: a run may pause.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# SQLite alters by remaking; the new table gives no id twice either.
_NEVER_AGAIN = {"sqlite_autoincrement": True}


def upgrade() -> None:
    op.add_column("job", sa.Column("worked_seconds", sa.Float(), nullable=False, server_default="0"))


def downgrade() -> None:
    # The program before knows neither; a person cancels what should not go on by itself.
    op.execute("UPDATE job SET state = 'queued' WHERE state = 'paused'")
    op.execute("UPDATE job SET stop_requested = NULL WHERE stop_requested = 'pause'")
    with op.batch_alter_table("job", table_kwargs=_NEVER_AGAIN) as batch:
        batch.drop_column("worked_seconds")
