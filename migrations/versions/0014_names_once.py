"""No two people have names that look the same, whoever adds them at the same moment. Those who have keep theirs.

Revision ID: 0014
Revises: 0013
"""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_INDEX = "ix_user_account_name_key"
_USER = sa.table(
    "user_account",
    sa.column("id", sa.Integer),
    sa.column("name", sa.String),
    sa.column("name_key", sa.String),
)


def upgrade() -> None:
    op.add_column("user_account", sa.Column("name_key", sa.String(), nullable=True))
    connection, seen = op.get_bind(), set[str]()
    for user_id, name in connection.execute(sa.select(_USER.c.id, _USER.c.name).order_by(_USER.c.id)).all():
        key = _name_key(name)
        if key not in seen:
            seen.add(key)
            connection.execute(sa.update(_USER).where(_USER.c.id == user_id).values(name_key=key))
    op.create_index(_INDEX, "user_account", ["name_key"], unique=True)


def downgrade() -> None:
    op.drop_index(_INDEX, "user_account")
    op.drop_column("user_account", "name_key")


def _name_key(name: str) -> str:
    """As app.accounts.service had it when this was written."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
