"""What a conversation was after each change, so that any change can be undone."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlmodel import Session, col, select

from app.accounts.service import Actor
from app.accounts.who import Who
from app.conversations.models import Conversation, ConversationRevision
from app.core.database import utc_now
from app.core.errors import NotFound
from app.dialogue.labels import LABELS
from app.sentences import N_

# Typing saves every few words; what one person types in one turn within this time is one revision.
_MERGE_WITHIN: Final = timedelta(minutes=10)
# Decisions that people give reasons for.
REASONED: Final = ("rejected", "discarded")
# Of the newest reasons that somebody gave, how many are looked at for different ones.
_REASONS_LOOKED_AT: Final = 200


@dataclass(frozen=True)
class RevisionLine:
    """A change in a conversation's history, as pages and REST tell it; the snapshot stays in the database. `reason`: why
    the conversation was sent back or discarded."""

    version: int
    action: str
    author: str
    author_user_id: int | None
    author_token_id: int | None
    reason: str | None
    created_at: datetime


def snapshot_of(conversation: Conversation) -> dict[str, Any]:
    """Messages, tools where there are any, and labels as a revision keeps them."""
    tools = {"tools": conversation.tools} if conversation.tools else {}
    labels = {name: getattr(conversation, name) for name in LABELS}
    return {"messages": conversation.messages, **tools, **labels}


def history(session: Session, conversation_id: int, limit: int = 100) -> list[RevisionLine]:
    """The newest changes, newest first, without their snapshots."""
    statement = (
        sa.select(*(getattr(ConversationRevision, part.name) for part in fields(RevisionLine)))
        .where(col(ConversationRevision.conversation_id) == conversation_id)
        .order_by(col(ConversationRevision.version).desc())
        .limit(limit)
    )
    return [RevisionLine(*row) for row in session.execute(statement)]


def last_reasons(session: Session, user_id: int, limit: int = 5) -> list[str]:
    """What this person said last when sending conversations back, each once, newest first."""
    statement = (
        select(ConversationRevision.reason)
        .where(
            ConversationRevision.author_user_id == user_id,
            col(ConversationRevision.reason).is_not(None),
            ConversationRevision.action == "rejected",
        )
        .order_by(col(ConversationRevision.id).desc())
        .limit(_REASONS_LOOKED_AT)
    )
    return list(dict.fromkeys(reason for reason in session.exec(statement) if reason))[:limit]


def get_revision(session: Session, conversation_id: int, version: int) -> ConversationRevision | None:
    """The conversation as it was at this version, if that was kept."""
    statement = select(ConversationRevision).where(
        ConversationRevision.conversation_id == conversation_id, ConversationRevision.version == version
    )
    return session.exec(statement).first()


def revision_before(session: Session, conversation_id: int, version: int) -> ConversationRevision | None:
    """The newest revision that is older than this version, None for the first."""
    statement = (
        select(ConversationRevision)
        .where(
            ConversationRevision.conversation_id == conversation_id,
            ConversationRevision.version < version,
        )
        .order_by(col(ConversationRevision.version).desc())
        .limit(1)
    )
    return session.exec(statement).first()


def get_revision_from(session: Session, conversation_id: int, version: int) -> ConversationRevision | None:
    """The oldest revision that is not older than this version.

    Typing of one person shares a revision, so it may be a little newer; the turns stand in the same places.
    """
    statement = (
        select(ConversationRevision)
        .where(
            ConversationRevision.conversation_id == conversation_id,
            ConversationRevision.version >= version,
        )
        .order_by(col(ConversationRevision.version))
        .limit(1)
    )
    return session.exec(statement).first()


def require_revision(session: Session, conversation_id: int, version: int) -> ConversationRevision:
    """As get_revision, or NotFound."""
    found = get_revision(session, conversation_id, version)
    if found is None:
        raise NotFound(N_("There is no revision %(version)d of this conversation."), version=version)
    return found


def revision_of(conversation: Conversation, action: str, author: Who) -> ConversationRevision:
    """A revision of the conversation as it is now, not yet added."""
    assert conversation.id is not None
    return ConversationRevision(
        conversation_id=conversation.id,
        version=conversation.version,
        action=action[:40],
        **author.columns("author"),
        reason=conversation.review_reason if action in REASONED else None,
        snapshot=snapshot_of(conversation),
    )


def first_revision(conversation: Conversation) -> ConversationRevision:
    """What an import brought. Imports store no revision (it would double the work); the first change does."""
    importer = Who(conversation.updated_by, conversation.updated_by_user_id, conversation.updated_by_token_id)
    first = revision_of(conversation, "import", importer)
    first.created_at = conversation.updated_at
    return first


def keep_first(session: Session, conversation: Conversation) -> None:
    """Before a change: store the conversation as it is, unless a revision holds it."""
    assert conversation.id is not None
    if get_revision(session, conversation.id, conversation.version) is None:
        session.add(first_revision(conversation))
        session.flush()


def keep(session: Session, conversation: Conversation, action: str, actor: Actor) -> None:
    """Store the conversation as it is now."""
    session.add(revision_of(conversation, action, actor.who))
    session.flush()


def keep_typing(session: Session, conversation: Conversation, action: str, actor: Actor) -> None:
    """As keep, but words typed in one go (same person, same action, recently) take one revision together."""
    assert conversation.id is not None
    last = get_revision(session, conversation.id, conversation.version - 1)
    if (
        last is None
        or last.action != action
        or Who(last.author, last.author_user_id, last.author_token_id) != actor.who
        or utc_now() - last.created_at > _MERGE_WITHIN
    ):
        keep(session, conversation, action, actor)
        return
    last.version = conversation.version
    last.snapshot = snapshot_of(conversation)
    session.add(last)
    session.flush()
