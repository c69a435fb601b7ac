"""New conversations: every one begins as a draft."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session

from app.accounts.service import Actor
from app.accounts.who import Who
from app.conversations import revisions
from app.conversations.content import content_columns, read_dialogue
from app.conversations.duplicates import refuse_duplicate
from app.conversations.models import Conversation, ReviewState
from app.core.database import utc_now
from app.datasets.archives import refuse_archived
from app.dialogue.conversation import Conversation as Dialogue


def _draft_columns(dataset_id: int, author: Who) -> dict[str, Any]:
    now = utc_now()
    return {
        "dataset_id": dataset_id,
        "review_state": ReviewState.DRAFT,
        "review_reason": None,
        "reviewed_by": None,
        "reviewed_by_user_id": None,
        "reviewed_by_token_id": None,
        "reviewed_at": None,
        "version": 1,
        **author.columns("updated_by"),
        "created_at": now,
        "updated_at": now,
    }


def build_conversation(dataset_id: int, dialogue: Dialogue, *, author: Who) -> Conversation:
    """A new row from a dialogue in canonical form, not yet added."""
    return Conversation(**content_columns(dialogue), **_draft_columns(dataset_id, author))


def insert_drafts(
    session: Session,
    dataset_id: int,
    contents: Sequence[dict[str, Any]],
    *,
    author: Who,
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
    session: Session, dataset_id: int, data: Mapping[str, Any], actor: Actor
) -> Conversation:
    """Store what a request holds as a draft. Raises Invalid naming the turn, tool or label, Duplicate, and Conflict
    for an archived dataset."""
    refuse_archived(session, dataset_id)
    dialogue = read_dialogue(data)
    refuse_duplicate(session, dataset_id, dialogue)
    conversation = build_conversation(dataset_id, dialogue, author=actor.who)
    session.add(conversation)
    session.flush()
    revisions.keep(session, conversation, "create", actor)
    return conversation
