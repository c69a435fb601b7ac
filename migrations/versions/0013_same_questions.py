"""Conversations have a hash of what is asked in them, by which a corrected record is recognised; imports count them.

Revision ID: 0013
Revises: 0012
"""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ROWS = 500
_CONVERSATION = sa.table(
    "conversation",
    sa.column("id", sa.Integer),
    sa.column("messages", sa.JSON),
    sa.column("questions_hash", sa.String),
)


def upgrade() -> None:
    op.add_column(
        "conversation", sa.Column("questions_hash", sa.String(length=64), nullable=False, server_default="")
    )
    for name in ("same_questions", "replaced"):
        op.add_column("dataset_import", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    _hash_all()
    op.create_index("ix_conversation_dataset_questions", "conversation", ["dataset_id", "questions_hash"])


def downgrade() -> None:
    op.drop_index("ix_conversation_dataset_questions", "conversation")
    op.drop_column("conversation", "questions_hash")
    for name in ("same_questions", "replaced"):
        op.drop_column("dataset_import", name)


def _hash_all() -> None:
    bind, table, last = op.get_bind(), _CONVERSATION, 0
    hash_one = (
        sa.update(table).where(table.c.id == sa.bindparam("row")).values(questions_hash=sa.bindparam("found"))
    )
    while True:
        wanted = sa.select(table.c.id, table.c.messages).where(table.c.id > last)
        rows = bind.execute(wanted.order_by(table.c.id).limit(_ROWS)).all()
        if not rows:
            return
        bind.execute(hash_one, [{"row": row.id, "found": _questions_hash(row.messages)} for row in rows])
        last = rows[-1].id


def _questions_hash(messages: list[dict[str, Any]]) -> str:
    """As app.dialogue.hashes had it when this was written."""
    asked = [
        [message["role"], message["content"]] for message in messages if message["role"] in ("system", "user")
    ]
    if not any(role == "user" and content.strip() for role, content in asked):
        return ""
    text = json.dumps(asked, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()
