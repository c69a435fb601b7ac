"""Passwords that are changed first or reset by a link, where people are signed in, what tokens are for, where sign-ins
came from. Tokens from before may do all that their role may.

Revision ID: 0011
Revises: 0010
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_INDEX = "ix_user_account_reset_hash"


def _columns() -> dict[str, tuple[sa.Column[Any], ...]]:
    return {
        "user_account": (
            sa.Column("must_change_password", sa.Boolean(), nullable=False, server_default=sa.false()),
            sa.Column("reset_hash", sa.String(length=64), nullable=True),
            sa.Column("reset_expires_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        ),
        "login_session": (
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("address", sa.String(length=64), nullable=False, server_default=""),
            sa.Column("agent", sa.String(length=200), nullable=False, server_default=""),
        ),
        "api_token": (
            sa.Column("scope", sa.String(length=30), nullable=False, server_default="all"),
            sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        ),
        "audit_event": (sa.Column("address", sa.String(length=64), nullable=True),),
    }


def upgrade() -> None:
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    op.create_index(_INDEX, "user_account", ["reset_hash"], unique=True)


def downgrade() -> None:
    op.drop_index(_INDEX, "user_account")
    for table, columns in reversed(_columns().items()):
        for column in reversed(columns):
            op.drop_column(table, column.name)
