"""Conversations have tools, and a hash of what is said, by which duplicates are told.

Revision ID: 0004
Revises: 0003
"""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ROWS = 500
_CONVERSATION = sa.table(
    "conversation",
    sa.column("id", sa.Integer),
    sa.column("messages", sa.JSON),
    sa.column("words_hash", sa.String),
)


def upgrade() -> None:
    op.add_column("conversation", sa.Column("tools", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column(
        "conversation", sa.Column("words_hash", sa.String(length=64), nullable=False, server_default="")
    )
    _hash_all()
    op.create_index("ix_conversation_dataset_words", "conversation", ["dataset_id", "words_hash"])
    op.drop_index("ix_conversation_dataset_hash", "conversation")


def downgrade() -> None:
    op.create_index("ix_conversation_dataset_hash", "conversation", ["dataset_id", "content_hash"])
    op.drop_index("ix_conversation_dataset_words", "conversation")
    op.drop_column("conversation", "words_hash")
    op.drop_column("conversation", "tools")


def _hash_all() -> None:
    bind, table, last = op.get_bind(), _CONVERSATION, 0
    hash_one = (
        sa.update(table).where(table.c.id == sa.bindparam("row")).values(words_hash=sa.bindparam("found"))
    )
    while True:
        wanted = sa.select(table.c.id, table.c.messages).where(table.c.id > last)
        rows = bind.execute(wanted.order_by(table.c.id).limit(_ROWS)).all()
        if not rows:
            return
        bind.execute(hash_one, [{"row": row.id, "found": _words_hash(row.messages)} for row in rows])
        last = rows[-1].id


def _words_hash(messages: list[dict[str, Any]]) -> str:
    """As app.dialogue.hashes had it when this was written."""
    said = [
        {key: value for key, value in message.items() if key != "train" and value not in (None, [])}
        for message in messages
    ]
    text = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()
