"""Rules of conversations: every change checks the version the person saw, and leaves a revision."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import insert
from sqlmodel import Session, col, select

from app.accounts.service import Actor, record
from app.conversations import revisions
from app.conversations.archives import refuse_archived
from app.conversations.messages import (
    Message,
    canonical_messages,
    content_hash,
    problems_before_approval,
    search_text_of,
    title_of,
)
from app.conversations.models import Conversation, ConversationRevision, Outcome, ReviewState
from app.conversations.revisions import LABELS
from app.core.database import utc_now
from app.core.errors import Conflict, Invalid, NotFound
from app.sentences import N_

_MAX_LENGTH: Final = {"stage": 60, "objection": 60, "product": 120, "source": 120, "language": 10}
_MAX_TAG_LENGTH: Final = 40
_BATCH: Final = 200


def require_conversation(session: Session, conversation_id: int) -> Conversation:
    """The conversation, or NotFound."""
    conversation = session.get(Conversation, conversation_id)
    if conversation is None:
        raise NotFound(N_("There is no conversation %(id)d. It may have been deleted."), id=conversation_id)
    return conversation


def content_columns(data: dict[str, Any]) -> dict[str, Any]:
    """Messages, labels and what is told from them, from the canonical conversation JSON; plain JSON again.

    Raises Invalid naming the turn or field.
    """
    return {
        **_message_columns(canonical_messages(list(data.get("messages") or []))),
        **dict.fromkeys(LABELS),
        "tags": [],
        **_label_columns({name: data[name] for name in LABELS if data.get(name) is not None}),
    }


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
    session: Session, dataset_id: int, contents: Sequence[dict[str, Any]], *, author: str
) -> None:
    """Store many new drafts, given as `content_columns` makes them; a mapped object each would take far longer."""
    if contents:
        same = _draft_columns(dataset_id, author)
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
        _stamp(found, actor)
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
        _set_messages(conversation, canonical_messages(edit([dict(m) for m in conversation.messages])))
        if conversation.content_hash != before and conversation.review_state is ReviewState.APPROVED:
            _set_review(conversation, ReviewState.DRAFT, None, None)

    return change(session, conversation_id, expected_version, actor, action, apply, typing=typing)


def set_labels(
    session: Session, conversation_id: int, expected_version: int, actor: Actor, labels: dict[str, Any]
) -> Conversation:
    """Set outcome, stage, objection, product, tags …; an empty value clears."""
    return change(
        session, conversation_id, expected_version, actor, "labels", lambda found: _set_labels(found, labels)
    )


def review(
    session: Session,
    conversation_id: int,
    expected_version: int,
    actor: Actor,
    state: ReviewState,
    reason: str | None = None,
) -> Conversation:
    """Approve, reject with a reason, or reopen. Raises Invalid when it could not teach anything."""
    reason = _reason_for(state, reason)

    def apply(conversation: Conversation) -> None:
        problems = problems_before_approval(conversation.messages) if state is ReviewState.APPROVED else []
        if problems:
            raise Invalid(problems[0])
        if (conversation.review_state, conversation.review_reason) != (state, reason):
            _set_review(conversation, state, reason, actor)

    conversation = change(session, conversation_id, expected_version, actor, state.value, apply)
    record(session, actor, f"conversation.{state.value}", f"conversation/{conversation_id}")
    return conversation


def review_many(
    session: Session,
    conversation_ids: Sequence[int],
    actor: Actor,
    state: ReviewState,
    reason: str | None = None,
) -> tuple[int, list[tuple[int, str]]]:
    """Review several at once. How many changed, and for the others (id, why not) as untranslated messages."""
    reason = _reason_for(state, reason)
    changed, refused = 0, []
    for batch in _locked_batches(session, conversation_ids):
        for dataset_id in {found.dataset_id for found in batch}:
            refuse_archived(session, dataset_id)
        kept = _ids_with_current_revision(session, [found.id for found in batch])
        for found in batch:
            assert found.id is not None
            problems = problems_before_approval(found.messages) if state is ReviewState.APPROVED else []
            if problems:
                refused.append((found.id, problems[0]))
            elif found.review_state is not state:
                if found.id not in kept:
                    session.add(revisions.first_revision(found))
                _set_review(found, state, reason, actor)
                _stamp(found, actor)
                session.add_all([found, revisions.revision_of(found, state.value, actor)])
                record(session, actor, f"conversation.{state.value}", f"conversation/{found.id}")
                changed += 1
        session.flush()
    return changed, refused


def _locked_batches(session: Session, ids: Sequence[int]) -> Iterator[Sequence[Conversation]]:
    """The rows in order of id, so that two reviewers at work on the same ones wait instead of deadlocking."""
    ordered = sorted(set(ids))
    for start in range(0, len(ordered), _BATCH):
        wanted = ordered[start : start + _BATCH]
        statement = (
            select(Conversation)
            .where(col(Conversation.id).in_(wanted))
            .order_by(col(Conversation.id))
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        batch = session.exec(statement).all()
        missing = set(wanted) - {found.id for found in batch}
        if missing:
            raise NotFound(N_("There is no conversation %(id)d. It may have been deleted."), id=min(missing))
        yield batch


def _ids_with_current_revision(session: Session, ids: Iterable[int | None]) -> set[int]:
    statement = (
        select(ConversationRevision.conversation_id)
        .join(Conversation, col(Conversation.id) == ConversationRevision.conversation_id)
        .where(
            col(ConversationRevision.conversation_id).in_(list(ids)),
            ConversationRevision.version == Conversation.version,
        )
    )
    return set(session.exec(statement))


def _reason_for(state: ReviewState, reason: str | None) -> str | None:
    reason = (reason or "").strip() or None
    if state is ReviewState.REJECTED and reason is None:
        raise Invalid(N_("Say why, so that the annotator knows what to change."), field="reason")
    return reason


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
        _set_messages(conversation, snapshot["messages"])
        _set_labels(conversation, {name: snapshot.get(name) for name in LABELS})
        if conversation.content_hash != before and conversation.review_state is ReviewState.APPROVED:
            _set_review(conversation, ReviewState.DRAFT, None, None)

    return change(session, conversation_id, expected_version, actor, "restore", apply)


def approved_conversations(session: Session, dataset_id: int) -> Sequence[Conversation]:
    """What a version is frozen from, in order of arrival."""
    statement = (
        select(Conversation)
        .where(Conversation.dataset_id == dataset_id, col(Conversation.review_state) == ReviewState.APPROVED)
        .order_by(col(Conversation.id))
    )
    return session.exec(statement).all()


def _set_messages(conversation: Conversation, messages: list[Message]) -> None:
    for name, value in _message_columns(messages).items():
        setattr(conversation, name, value)


def _message_columns(messages: list[Message]) -> dict[str, Any]:
    """The messages and all that is told from them."""
    return {
        "messages": messages,
        "content_hash": content_hash(messages),
        **told_columns(messages),
    }


def told_columns(messages: list[Message]) -> dict[str, Any]:
    """What lists and searches need to know of the messages; quickly told again."""
    return {"title": title_of(messages), "search_text": search_text_of(messages)}


def _set_labels(conversation: Conversation, labels: dict[str, Any]) -> None:
    for name, value in _label_columns(labels).items():
        setattr(conversation, name, value)


def _label_columns(labels: dict[str, Any]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, value in labels.items():
        if name not in LABELS:
            raise Invalid(N_("There is no label %(name)s."), field=name, name=name)
        if name == "outcome":
            try:
                value = Outcome(value) if value else None
            except ValueError:
                raise Invalid(N_("The outcome must be won, lost or open."), field=name) from None
        elif name == "tags":
            value = _tags(value)
        else:
            value = str(value).strip() or None if value else None
            if value and len(value) > _MAX_LENGTH[name]:
                raise _too_long(name, _MAX_LENGTH[name])
        columns[name] = value
    return columns


def _tags(value: Any) -> list[str]:
    """Tags from a list, or from what a person typed with commas between."""
    words = value.replace("，", ",").split(",") if isinstance(value, str) else (value or [])
    tags = sorted({str(word).strip() for word in words if str(word).strip()})
    if any(len(tag) > _MAX_TAG_LENGTH for tag in tags):
        raise _too_long("tags", _MAX_TAG_LENGTH)
    return tags


def _too_long(name: str, limit: int) -> Invalid:
    return Invalid(
        N_("The label %(name)s is longer than %(limit)d characters."), field=name, name=name, limit=limit
    )


def _set_review(
    conversation: Conversation, state: ReviewState, reason: str | None, actor: Actor | None
) -> None:
    conversation.review_state = state
    conversation.review_reason = reason
    conversation.reviewed_by = actor.name[:80] if actor else None
    conversation.reviewed_at = utc_now() if actor else None


def _stamp(conversation: Conversation, actor: Actor) -> None:
    conversation.version += 1
    conversation.updated_by = actor.name[:80]
    conversation.updated_at = utc_now()


def _content_of(conversation: Conversation) -> dict[str, Any]:
    """All that an edit may change."""
    reviewed = (conversation.review_state, conversation.review_reason)
    return {**revisions.snapshot_of(conversation), "review": reviewed}
