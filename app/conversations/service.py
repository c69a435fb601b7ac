"""Rules of conversations: every change checks the version the person saw, and leaves a revision."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from sqlmodel import Session, select

from app.accounts.service import Actor, record
from app.conversations import revisions
from app.conversations.content import read_dialogue, said_columns, set_columns
from app.conversations.content import set_labels as put_labels
from app.conversations.duplicates import refuse_duplicate
from app.conversations.models import Conversation, ReviewState
from app.core.database import utc_now
from app.core.errors import Conflict, NotFound
from app.datasets.archives import refuse_archived
from app.dialogue.conversation import Conversation as Dialogue
from app.dialogue.conversation import Message
from app.dialogue.labels import LABELS
from app.sentences import N_


def require_conversation(session: Session, conversation_id: int) -> Conversation:
    """The conversation, or NotFound."""
    conversation = session.get(Conversation, conversation_id)
    if conversation is None:
        raise NotFound(N_("There is no conversation %(id)d. It may have been deleted."), id=conversation_id)
    return conversation


def lock(session: Session, conversation_id: int) -> Conversation:
    """The conversation as it is stored now, held until the transaction ends. Raises NotFound."""
    # populate_existing: a row read earlier in this transaction may be older than the lock.
    found = session.exec(
        select(Conversation)
        .where(Conversation.id == conversation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise NotFound(N_("There is no conversation %(id)d. It may have been deleted."), id=conversation_id)
    return found


def faster(found: Conversation) -> Conflict:
    """Somebody else changed it since this person saw it."""
    return Conflict(
        N_(
            "%(name)s changed this conversation meanwhile. Your text was not saved: compare, then save again."
        ),
        name=found.updated_by,
    )


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
    found = lock(session, conversation_id)
    if found.version != expected_version:
        raise faster(found)
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
    """Change the messages; tools stay. An approved conversation goes back to draft: what was approved is no longer
    there. Raises Invalid naming the turn, and Duplicate."""

    def apply(conversation: Conversation) -> None:
        messages = edit([cast(Message, dict(message)) for message in conversation.messages])
        _say(session, conversation, {"messages": messages, "tools": conversation.tools})

    return change(session, conversation_id, expected_version, actor, action, apply, typing=typing)


def say(
    session: Session,
    conversation_id: int,
    expected_version: int,
    actor: Actor,
    said: Mapping[str, Any],
    *,
    action: str = "edit",
) -> Conversation:
    """Replace `messages`, `tools` or both by what a request holds; None as `tools` takes them away.

    As edit_messages otherwise.
    """

    def apply(conversation: Conversation) -> None:
        _say(session, conversation, {"messages": conversation.messages, "tools": conversation.tools, **said})

    return change(session, conversation_id, expected_version, actor, action, apply)


def _say(session: Session, conversation: Conversation, said: Mapping[str, Any]) -> None:
    """Put checked messages and tools into the row."""
    dialogue: Dialogue = read_dialogue(said)
    columns = said_columns(dialogue)
    if columns["words_hash"] != conversation.words_hash:
        refuse_duplicate(session, conversation.dataset_id, dialogue, of=conversation.id)
    changed = columns["content_hash"] != conversation.content_hash
    set_columns(conversation, columns)
    if changed and conversation.review_state is ReviewState.APPROVED:
        set_review(conversation, ReviewState.DRAFT, None, None)


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
    """Make an older version's messages, tools and labels the current ones (undo)."""
    snapshot = revisions.require_revision(session, conversation_id, version).snapshot

    def apply(conversation: Conversation) -> None:
        _say(session, conversation, {name: snapshot.get(name) for name in ("messages", "tools")})
        put_labels(conversation, {name: snapshot.get(name) for name in LABELS})

    return change(session, conversation_id, expected_version, actor, "restore", apply)


def _put(conversation: Conversation, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        setattr(conversation, name, value)


def _nobody(name: str) -> dict[str, None]:
    """The values of the three columns that begin with this name where nobody did it."""
    return dict.fromkeys((name, f"{name}_user_id", f"{name}_token_id"))


def set_review(
    conversation: Conversation, state: ReviewState, reason: str | None, actor: Actor | None
) -> None:
    """Put a review's columns. One that becomes a draft again must be handed in anew; who handed in what is approved or
    sent back stays known."""
    if state is ReviewState.HANDED_IN:
        assert actor is not None
        _put(conversation, actor.who.columns("handed_in_by"))
        conversation.handed_in_at = utc_now()
        if conversation.assigned_to_user_id is None:
            conversation.assigned_to_user_id = actor.user_id
    elif state is ReviewState.DRAFT:
        _put(conversation, _nobody("handed_in_by"))
        conversation.handed_in_at = None
    elif state is ReviewState.REJECTED and conversation.review_state is not ReviewState.REJECTED:
        handed_in = conversation.handed_in_at is not None
        conversation.sent_back_to_user_id = (
            conversation.handed_in_by_user_id
            if handed_in
            else conversation.assigned_to_user_id or conversation.updated_by_user_id
        )
    conversation.review_state = state
    conversation.review_reason = reason
    reviewer = actor if state is not ReviewState.HANDED_IN else None
    _put(conversation, reviewer.who.columns("reviewed_by") if reviewer else _nobody("reviewed_by"))
    conversation.reviewed_at = utc_now() if reviewer else None


def unset_review(conversation: Conversation) -> None:
    """What it was before somebody decided: handed in, or a draft that nobody had handed in."""
    waits = conversation.handed_in_at is not None
    conversation.review_state = ReviewState.HANDED_IN if waits else ReviewState.DRAFT
    conversation.review_reason = conversation.reviewed_at = None
    _put(conversation, _nobody("reviewed_by"))


def stamp(conversation: Conversation, actor: Actor) -> None:
    conversation.version += 1
    _put(conversation, actor.who.columns("updated_by"))
    conversation.updated_at = utc_now()


def _content_of(conversation: Conversation) -> dict[str, Any]:
    """All that an edit may change."""
    reviewed = (conversation.review_state, conversation.review_reason)
    return {**revisions.snapshot_of(conversation), "review": reviewed}
