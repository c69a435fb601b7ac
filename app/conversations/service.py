"""Rules of conversations: every change checks the version the person saw, and leaves a revision."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from app.accounts.models import Role
from app.accounts.service import Actor, record
from app.conversations.messages import (
    Message,
    canonical_message,
    canonical_messages,
    content_hash,
    problems_before_approval,
    search_text_of,
    title_of,
)
from app.conversations.models import Conversation, ConversationRevision, MessageRole, Outcome, ReviewState
from app.core.database import utc_now
from app.core.errors import Conflict, Invalid, NotFound
from app.core.i18n import N_

LABELS = ("outcome", "stage", "objection", "product", "language", "source", "tags")


@dataclass(frozen=True)
class ConversationFilter:
    """What a list shows; also what previous/next walk through."""

    dataset_id: int
    review_state: ReviewState | None = None
    outcome: Outcome | None = None
    query: str = ""

    def apply(self, statement: SelectOfScalar[Any]) -> SelectOfScalar[Any]:
        """Add this filter's conditions."""
        statement = statement.where(Conversation.dataset_id == self.dataset_id)
        if self.review_state:
            statement = statement.where(col(Conversation.review_state) == self.review_state)
        if self.outcome:
            statement = statement.where(col(Conversation.outcome) == self.outcome)
        for word in self.query.casefold().split():
            statement = statement.where(col(Conversation.search_text).contains(word, autoescape=True))
        return statement


def require_conversation(session: Session, conversation_id: int) -> Conversation:
    """The conversation, or NotFound."""
    conversation = session.get(Conversation, conversation_id)
    if conversation is None:
        raise NotFound(N_("There is no conversation %(id)d. It may have been deleted."), id=conversation_id)
    return conversation


def list_conversations(
    session: Session, where: ConversationFilter, *, offset: int = 0, limit: int = 50
) -> tuple[list[Conversation], int]:
    """One page in order of arrival, and how many there are in all."""
    total = session.exec(where.apply(select(func.count()).select_from(Conversation))).one()
    statement = where.apply(select(Conversation)).order_by(col(Conversation.id)).offset(offset).limit(limit)
    return list(session.exec(statement)), total


def neighbours(
    session: Session, conversation: Conversation, where: ConversationFilter
) -> tuple[int | None, int | None]:
    """Ids of the previous and the next conversation within the filter."""
    before = where.apply(select(func.max(Conversation.id))).where(col(Conversation.id) < conversation.id)
    after = where.apply(select(func.min(Conversation.id))).where(col(Conversation.id) > conversation.id)
    return session.exec(before).one(), session.exec(after).one()


def build_conversation(dataset_id: int, data: dict[str, Any], *, author: str) -> Conversation:
    """A new row from the canonical conversation JSON, not yet added. Raises Invalid naming the turn or field."""
    conversation = Conversation(
        dataset_id=dataset_id, title="", content_hash="", updated_by=author[:80], messages=[]
    )
    _set_messages(conversation, canonical_messages(list(data.get("messages") or [])))
    _set_labels(conversation, {name: data[name] for name in LABELS if data.get(name) is not None})
    return conversation


def create_conversation(
    session: Session, dataset_id: int, data: dict[str, Any], actor: Actor
) -> Conversation:
    """Store a new conversation as a draft."""
    conversation = build_conversation(dataset_id, data, author=actor.name)
    session.add(conversation)
    session.flush()
    _keep_revision(session, conversation, "create", actor)
    return conversation


def change(
    session: Session,
    conversation_id: int,
    expected_version: int,
    actor: Actor,
    action: str,
    edit: Callable[[Conversation], None],
) -> Conversation:
    """Apply one edit to exactly the version the person saw. Raises Conflict when somebody was faster."""
    conversation = session.exec(
        select(Conversation).where(Conversation.id == conversation_id).with_for_update()
    ).first()
    if conversation is None:
        raise NotFound(N_("There is no conversation %(id)d. It may have been deleted."), id=conversation_id)
    if conversation.version != expected_version:
        raise Conflict(
            N_(
                "%(name)s changed this conversation meanwhile. Your text was not saved: compare, then save again."
            ),
            name=conversation.updated_by,
        )
    _keep_first_revision(session, conversation)
    edit(conversation)
    conversation.version += 1
    conversation.updated_by = actor.name[:80]
    conversation.updated_at = utc_now()
    session.add(conversation)
    session.flush()
    _keep_revision(session, conversation, action, actor)
    return conversation


def edit_messages(
    session: Session,
    conversation_id: int,
    expected_version: int,
    actor: Actor,
    action: str,
    edit: Callable[[list[Message]], list[Message]],
) -> Conversation:
    """Change the messages. An approved conversation goes back to draft: what was approved is no longer there."""

    def apply(conversation: Conversation) -> None:
        before = conversation.content_hash
        _set_messages(conversation, canonical_messages(edit([dict(m) for m in conversation.messages])))
        if conversation.content_hash != before and conversation.review_state is ReviewState.APPROVED:
            _set_review(conversation, ReviewState.DRAFT, None, None)

    return change(session, conversation_id, expected_version, actor, action, apply)


def update_message(messages: list[Message], turn: int, **fields: object) -> list[Message]:
    """Set fields of one turn; None removes a field."""
    message = {**_turn(messages, turn), **fields}
    messages[turn] = canonical_message({k: v for k, v in message.items() if v is not None}, turn=turn)
    return messages


def add_message(messages: list[Message], after: int, role: MessageRole | None = None) -> list[Message]:
    """A new empty turn after position `after` (-1 puts it first); the role alternates unless given."""
    if not -1 <= after < len(messages):
        raise Invalid(N_("There is no turn %(turn)d."), turn=after + 1)
    if role is None:
        previous = messages[after]["role"] if after >= 0 else None
        role = MessageRole.ASSISTANT if previous == MessageRole.USER else MessageRole.USER
    messages.insert(after + 1, {"role": role.value, "content": ""})
    return messages


def delete_message(messages: list[Message], turn: int) -> list[Message]:
    """Without one turn. The last one cannot be deleted."""
    _turn(messages, turn)
    del messages[turn]
    return messages


def move_message(messages: list[Message], turn: int, by: int) -> list[Message]:
    """One turn moved up (-1) or down (+1); at the edge it stays."""
    message = _turn(messages, turn)
    target = min(max(turn + by, 0), len(messages) - 1)
    del messages[turn]
    messages.insert(target, message)
    return messages


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
    reason = (reason or "").strip() or None
    if state is ReviewState.REJECTED and reason is None:
        raise Invalid(N_("Say why, so that the annotator knows what to change."), field="reason")

    def apply(conversation: Conversation) -> None:
        problems = problems_before_approval(conversation.messages) if state is ReviewState.APPROVED else []
        if problems:
            raise Invalid(problems[0])
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
    changed, refused = 0, []
    for conversation_id in conversation_ids:
        conversation = require_conversation(session, conversation_id)
        problems = problems_before_approval(conversation.messages) if state is ReviewState.APPROVED else []
        if problems:
            refused.append((conversation_id, problems[0]))
        elif conversation.review_state is not state:
            review(session, conversation_id, conversation.version, actor, state, reason)
            changed += 1
    return changed, refused


def delete_conversation(session: Session, conversation_id: int, actor: Actor) -> None:
    """Erase the conversation and all its revisions. Frozen versions keep their copy."""
    conversation = require_conversation(session, conversation_id)
    session.delete(conversation)
    record(session, actor, "conversation.delete", f"conversation/{conversation_id}")


def revisions(session: Session, conversation_id: int) -> list[ConversationRevision]:
    """All revisions, newest first."""
    statement = (
        select(ConversationRevision)
        .where(ConversationRevision.conversation_id == conversation_id)
        .order_by(col(ConversationRevision.version).desc())
    )
    return list(session.exec(statement))


def restore(
    session: Session, conversation_id: int, expected_version: int, actor: Actor, version: int
) -> Conversation:
    """Make an older version's messages and labels the current ones (undo)."""
    statement = select(ConversationRevision).where(
        ConversationRevision.conversation_id == conversation_id, ConversationRevision.version == version
    )
    revision = session.exec(statement).first()
    if revision is None:
        raise NotFound(N_("There is no version %(version)d of this conversation."), version=version)
    snapshot = revision.snapshot

    def apply(conversation: Conversation) -> None:
        _set_messages(conversation, snapshot["messages"])
        _set_labels(conversation, {name: snapshot.get(name) for name in LABELS})
        if conversation.review_state is ReviewState.APPROVED:
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


def _turn(messages: list[Message], turn: int) -> Message:
    if not 0 <= turn < len(messages):
        raise Invalid(N_("There is no turn %(turn)d."), turn=turn + 1)
    return messages[turn]


def _set_messages(conversation: Conversation, messages: list[Message]) -> None:
    conversation.messages = messages
    conversation.content_hash = content_hash(messages)
    conversation.title = title_of(messages)
    conversation.search_text = search_text_of(messages)


def _set_labels(conversation: Conversation, labels: dict[str, Any]) -> None:
    for name, value in labels.items():
        if name not in LABELS:
            raise Invalid(N_("There is no label %(name)s."), field=name, name=name)
        if name == "outcome":
            try:
                value = Outcome(value) if value else None
            except ValueError:
                raise Invalid(N_("The outcome must be won, lost or open."), field=name) from None
        elif name == "tags":
            words = value.replace("，", ",").split(",") if isinstance(value, str) else (value or [])
            value = sorted({str(word).strip()[:40] for word in words if str(word).strip()})
        else:
            value = str(value).strip()[:60] or None if value else None
        setattr(conversation, name, value)


def _set_review(
    conversation: Conversation, state: ReviewState, reason: str | None, actor: Actor | None
) -> None:
    conversation.review_state = state
    conversation.review_reason = reason
    conversation.reviewed_by = actor.name[:80] if actor else None
    conversation.reviewed_at = utc_now() if actor else None


def _keep_first_revision(session: Session, conversation: Conversation) -> None:
    """Imports store no revision (they would double the work); the first change keeps what was imported."""
    kept = select(ConversationRevision.id).where(
        ConversationRevision.conversation_id == conversation.id,
        ConversationRevision.version == conversation.version,
    )
    if session.exec(kept).first() is None:
        _keep_revision(
            session, conversation, "import", Actor(0, conversation.updated_by, Role.ANNOTATOR, "token")
        )


def _keep_revision(session: Session, conversation: Conversation, action: str, actor: Actor) -> None:
    assert conversation.id is not None
    snapshot = {"messages": conversation.messages, **{name: getattr(conversation, name) for name in LABELS}}
    session.add(
        ConversationRevision(
            conversation_id=conversation.id,
            version=conversation.version,
            action=action[:40],
            author=actor.name[:80],
            snapshot=snapshot,
        )
    )
    session.flush()
