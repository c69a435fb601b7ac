"""Conversations are handed in, and go back to whoever did; imports name what wrote their conversations; a search finds
products and tags.

Revision ID: 0015
Revises: 0014
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ROWS = 500
_REVIEWS = ("approved", "rejected", "draft")
_CONVERSATION = sa.table(
    "conversation",
    sa.column("id", sa.Integer),
    sa.column("messages", sa.JSON),
    sa.column("product", sa.String),
    sa.column("tags", sa.JSON),
    sa.column("search_text", sa.Text),
    sa.column("review_state", sa.String),
    sa.column("sent_back_to_user_id", sa.Integer),
)
_REVISION = sa.table(
    "conversation_revision",
    sa.column("conversation_id", sa.Integer),
    sa.column("version", sa.Integer),
    sa.column("action", sa.String),
    sa.column("author_user_id", sa.Integer),
)
_IMPORT = sa.table(
    "dataset_import",
    sa.column("dataset_id", sa.Integer),
    sa.column("operation_id", sa.Integer),
    sa.column("accepted", sa.Integer),
    sa.column("created_at", sa.DateTime(timezone=True)),
)
_OPERATION = sa.table(
    "dataset_operation",
    sa.column("id", sa.Integer),
    sa.column("dataset_id", sa.Integer),
    sa.column("kind", sa.String),
    sa.column("started_at", sa.DateTime(timezone=True)),
)


def upgrade() -> None:
    op.add_column("conversation", sa.Column("handed_in_by", sa.String(length=80), nullable=True))
    op.add_column("conversation", sa.Column("handed_in_by_user_id", sa.Integer(), nullable=True))
    op.add_column("conversation", sa.Column("handed_in_by_token_id", sa.Integer(), nullable=True))
    op.add_column("conversation", sa.Column("handed_in_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("conversation", sa.Column("sent_back_to_user_id", sa.Integer(), nullable=True))
    op.add_column("dataset_import", sa.Column("operation_id", sa.Integer(), nullable=True))
    op.create_index(
        "ix_conversation_dataset_facets",
        "conversation",
        ["dataset_id", "stage", "objection", "language", "product", "updated_by", "staged_by"],
    )
    op.create_index(
        "ix_conversation_sent_back_to", "conversation", ["sent_back_to_user_id", "review_state", "staged_by"]
    )
    _tell_whose_work_was_sent_back()
    _tell_what_wrote_imports()
    _search_labels()


def downgrade() -> None:
    handed_in = _CONVERSATION.c.review_state == "handed_in"
    op.execute(sa.update(_CONVERSATION).where(handed_in).values(review_state="draft"))
    op.drop_index("ix_conversation_sent_back_to", "conversation")
    op.drop_index("ix_conversation_dataset_facets", "conversation")
    op.drop_column("dataset_import", "operation_id")
    for name in (
        "sent_back_to_user_id",
        "handed_in_at",
        "handed_in_by_token_id",
        "handed_in_by_user_id",
        "handed_in_by",
    ):
        op.drop_column("conversation", name)


def _tell_whose_work_was_sent_back() -> None:
    """Of whoever changed it last before a reviewer did."""
    author = (
        sa.select(_REVISION.c.author_user_id)
        .where(_REVISION.c.conversation_id == _CONVERSATION.c.id, _REVISION.c.action.not_in(_REVIEWS))
        .order_by(_REVISION.c.version.desc())
        .limit(1)
    )
    sent_back = _CONVERSATION.c.review_state == "rejected"
    op.execute(
        sa.update(_CONVERSATION).where(sent_back).values(sent_back_to_user_id=author.scalar_subquery())
    )


def _tell_what_wrote_imports() -> None:
    """An import's report is begun right after its operation."""
    wrote = (
        sa.select(sa.func.max(_OPERATION.c.id))
        .where(
            _OPERATION.c.dataset_id == _IMPORT.c.dataset_id,
            _OPERATION.c.kind == "import",
            _OPERATION.c.started_at <= _IMPORT.c.created_at,
        )
        .scalar_subquery()
    )
    op.execute(sa.update(_IMPORT).where(_IMPORT.c.accepted > 0).values(operation_id=wrote))


def _search_labels() -> None:
    connection, last = op.get_bind(), 0
    columns = (_CONVERSATION.c.id, _CONVERSATION.c.messages, _CONVERSATION.c.product, _CONVERSATION.c.tags)
    while True:
        rows = connection.execute(
            sa.select(*columns).where(_CONVERSATION.c.id > last).order_by(_CONVERSATION.c.id).limit(_ROWS)
        ).all()
        if not rows:
            return
        last = rows[-1].id
        changed = [
            {"own": row.id, "text": _search_text(row.messages, row.product, row.tags)}
            for row in rows
            if row.product or row.tags
        ]
        if changed:
            statement = sa.update(_CONVERSATION).where(_CONVERSATION.c.id == sa.bindparam("own"))
            connection.execute(statement.values(search_text=sa.bindparam("text")), changed)


def _search_text(messages: list[dict[str, Any]], product: str | None, tags: list[str]) -> str:
    """As app.conversations.messages had it when this was written."""
    return (
        "\n".join([*(message["content"] for message in messages), product or "", *tags]).casefold().rstrip()
    )
