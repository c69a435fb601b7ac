"""Answers of evaluations keep how many tokens they have and whether the token limit cut them.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("evaluation_answer", sa.Column("tokens", sa.Integer(), nullable=True))
    op.add_column("evaluation_answer", sa.Column("finish_reason", sa.String(length=20), nullable=True))
    # The sentence about completeness is the only place where earlier programs kept it.
    op.execute(
        "UPDATE evaluation_answer SET finish_reason = "
        "CASE WHEN CAST(scores AS TEXT) LIKE '%; cut at the limit%' THEN 'length' ELSE 'stop' END"
    )


def downgrade() -> None:
    op.drop_column("evaluation_answer", "finish_reason")
    op.drop_column("evaluation_answer", "tokens")
