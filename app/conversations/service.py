"""Rules of conversations: every change checks the version the person saw, and leaves a revision."""

from collections.abc import Callable
from typing import Any

from sqlmodel import Session, select

from app.accounts.service import Actor, record
from app.conversations import revisions
from app.conversations.content import set_labels as put_labels
from app.conversations.content import set_messages
from app.conversations.messages import Message, canonical_messages
from app.conversations.models import Conversation, ReviewState
from app.conversations.revisions import LABELS
from app.core.database import utc_now
from app.core.errors import Conflict, NotFound
from app.datasets.archives import refuse_archived
from app.sentences import N_


def require_conversation(session: Session, conversation_id: int) -> Conversation:
    """The conversation, or NotFound."""
    conversation = session.get(Conversation, conversation_id)
    if conversation is None:
        raise NotFound(N_("There is no conversation %(id)d. It may have been deleted."), id=conversation_id)
    return conversation


def change(
    session: Session,
    conversation_id: int,
    expected_version: int,
    actor: Actor,
    action: str,
    edit: Callable[[Conversation], None],
    *,
    typing: bool = False,
) -> Conversation:
    """Apply one edit to exactly the version the person saw. Raises Conflict when somebody was faster.

    An edit that changes nothing leaves the version as it is. `typing` lets consecutive edits of one person
    share a revision.
    """
    # populate_existing: a row read earlier in this transaction may be older than the lock.
    found = session.exec(
        select(Conversation)
        .where(Conversation.id == conversation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound(N_("There is no conversation %(id)d. It may have been deleted."), id=conversation_id)
    if found.version != expected_version:
        raise Conflict(
            N_(
                "%(name)s changed this conversation meanwhile. Your text was not saved: compare, then save again."
            ),
            name=found.updated_by,
        )
    refuse_archived(session, found.dataset_id)
    before = _content_of(found)
    revisions.keep_first(session, found)
    edit(found)
    if _content_of(found) != before:
        stamp(found, actor)
        session.add(found)
        session.flush()
        (revisions.keep_typing if typing else revisions.keep)(session, found, action, actor)
    return found


def edit_messages(
    session: Session,
    conversation_id: int,
    expected_version: int,
    actor: Actor,
    action: str,
    edit: Callable[[list[Message]], list[Message]],
    *,
    typing: bool = False,
) -> Conversation:
    """Change the messages. An approved conversation goes back to draft: what was approved is no longer there."""

    def apply(conversation: Conversation) -> None:
        before = conversation.content_hash
        set_messages(conversation, canonical_messages(edit([dict(m) for m in conversation.messages])))
        if conversation.content_hash != before and conversation.review_state is ReviewState.APPROVED:
            set_review(conversation, ReviewState.DRAFT, None, None)

    return change(session, conversation_id, expected_version, actor, action, apply, typing=typing)


def set_labels(
    session: Session, conversation_id: int, expected_version: int, actor: Actor, labels: dict[str, Any]
) -> Conversation:
    """Set outcome, stage, objection, product, tags …; an empty value clears."""
    return change(
        session, conversation_id, expected_version, actor, "labels", lambda found: put_labels(found, labels)
    )


def delete_conversation(session: Session, conversation_id: int, actor: Actor) -> None:
    """Erase the conversation and all its revisions. Frozen versions keep their copy."""
    conversation = require_conversation(session, conversation_id)
    refuse_archived(session, conversation.dataset_id)
    session.delete(conversation)
    record(session, actor, "conversation.delete", f"conversation/{conversation_id}")


def restore(
    session: Session, conversation_id: int, expected_version: int, actor: Actor, version: int
) -> Conversation:
    """Make an older version's messages and labels the current ones (undo)."""
    snapshot = revisions.require_revision(session, conversation_id, version).snapshot

    def apply(conversation: Conversation) -> None:
        before = conversation.content_hash
        set_messages(conversation, snapshot["messages"])
        put_labels(conversation, {name: snapshot.get(name) for name in LABELS})
        if conversation.content_hash != before and conversation.review_state is ReviewState.APPROVED:
            set_review(conversation, ReviewState.DRAFT, None, None)

    return change(session, conversation_id, expected_version, actor, "restore", apply)


def set_review(
    conversation: Conversation, state: ReviewState, reason: str | None, actor: Actor | None
) -> None:
    conversation.review_state = state
    conversation.review_reason = reason
    conversation.reviewed_by = actor.name[:80] if actor else None
    conversation.reviewed_at = utc_now() if actor else None


def stamp(conversation: Conversation, actor: Actor) -> None:
    conversation.version += 1
    conversation.updated_by = actor.name[:80]
    conversation.updated_at = utc_now()


def _content_of(conversation: Conversation) -> dict[str, Any]:
    """All that an edit may change."""
    reviewed = (conversation.review_state, conversation.review_reason)
    return {**revisions.snapshot_of(conversation), "review": reviewed}
