"""New conversations: every one begins as a draft."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session

from app.accounts.service import Actor
from app.conversations import revisions
from app.conversations.content import content_columns
from app.conversations.models import Conversation, ReviewState
from app.core.database import utc_now
from app.datasets.archives import refuse_archived


def _draft_columns(dataset_id: int, author: str) -> dict[str, Any]:
    now = utc_now()
    return {
        "dataset_id": dataset_id,
        "review_state": ReviewState.DRAFT,
        "review_reason": None,
        "reviewed_by": None,
        "reviewed_at": None,
        "version": 1,
        "updated_by": author[:80],
        "created_at": now,
        "updated_at": now,
    }


def build_conversation(dataset_id: int, data: dict[str, Any], *, author: str) -> Conversation:
    """A new row from the canonical conversation JSON, not yet added. Raises Invalid naming the turn or field."""
    return Conversation(**content_columns(data), **_draft_columns(dataset_id, author))


def insert_drafts(
    session: Session,
    dataset_id: int,
    contents: Sequence[dict[str, Any]],
    *,
    author: str,
    staged_by: int | None = None,
) -> None:
    """Store many new drafts, given as `content_columns` makes them; a mapped object each would take far longer.

    They are there for readers once the operation `staged_by` is done.
    """
    if contents:
        same = {**_draft_columns(dataset_id, author), "staged_by": staged_by}
        # Into the table and not the mapped class, which would part the rows by which of their labels are empty.
        session.execute(
            insert(Conversation.metadata.tables[Conversation.__tablename__]),
            [{**columns, **same} for columns in contents],
        )


def create_conversation(
    session: Session, dataset_id: int, data: dict[str, Any], actor: Actor
) -> Conversation:
    """Store a new conversation as a draft."""
    refuse_archived(session, dataset_id)
    conversation = build_conversation(dataset_id, data, author=actor.name)
    session.add(conversation)
    session.flush()
    revisions.keep(session, conversation, "create", actor)
    return conversation
