"""Comments on a conversation, or on one of its turns.

A comment keeps the beginning of the words it is about. Turns move and change; by those words it is found again, and where
they are no longer said it shows them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlmodel import Session, col, select

from app.accounts.permissions import Permission
from app.accounts.service import Actor, record
from app.conversations.models import Conversation, ConversationComment
from app.conversations.service import require_conversation
from app.core.database import utc_now
from app.core.errors import Invalid, NotFound
from app.datasets.archives import refuse_archived
from app.dialogue.conversation import Message
from app.sentences import N_

MAX_COMMENT: Final = 2000
_QUOTE: Final = 200


@dataclass(frozen=True)
class Placed:
    """A comment with the turn it stands at now, counted from 0; None: at the whole conversation. `is_gone`: what it was
    about is no longer said."""

    comment: ConversationComment
    turn: int | None
    is_gone: bool = False


def comments_of(session: Session, conversation: Conversation) -> list[Placed]:
    """The conversation's comments, oldest first, where they belong now."""
    statement = (
        select(ConversationComment)
        .where(ConversationComment.conversation_id == conversation.id)
        .order_by(col(ConversationComment.id))
    )
    return [_placed(comment, conversation.messages) for comment in session.exec(statement)]


def _placed(comment: ConversationComment, messages: Sequence[Message]) -> Placed:
    if comment.turn is None:
        return Placed(comment, None)
    same = [turn for turn, message in enumerate(messages) if message["content"][:_QUOTE] == comment.quote]
    if comment.turn in same:
        return Placed(comment, comment.turn)
    if len(same) == 1:
        return Placed(comment, same[0])
    return Placed(comment, comment.turn if comment.turn < len(messages) else None, is_gone=True)


def add_comment(
    session: Session, conversation_id: int, actor: Actor, text: str, turn: int | None = None
) -> ConversationComment:
    """Say something about a conversation, or about one turn, counted from 0. Raises Invalid naming the field, Conflict for an
    archived dataset."""
    conversation = require_conversation(session, conversation_id)
    refuse_archived(session, conversation.dataset_id)
    text = text.strip()
    if not text or len(text) > MAX_COMMENT:
        raise Invalid(N_("Write a comment of 1 to %(limit)d characters."), field="text", limit=MAX_COMMENT)
    quote = ""
    if turn is not None:
        if not 0 <= turn < len(conversation.messages):
            raise Invalid(N_("There is no turn %(turn)d."), field="turn", turn=turn + 1)
        quote = conversation.messages[turn]["content"][:_QUOTE]
    comment = ConversationComment(
        conversation_id=conversation_id, turn=turn, quote=quote, text=text, **actor.who.columns()
    )
    session.add(comment)
    session.flush()
    record(session, actor, "conversation.comment", f"conversation/{conversation_id}")
    return comment


def settle(
    session: Session, conversation_id: int, comment_id: int, actor: Actor, *, is_settled: bool = True
) -> ConversationComment:
    """Say that it is done, or that it is not. Raises NotFound."""
    comment = _require(session, conversation_id, comment_id)
    who = actor.who.columns("settled_by")
    for name, value in who.items():
        setattr(comment, name, value if is_settled else None)
    comment.settled_at = utc_now() if is_settled else None
    session.add(comment)
    session.flush()
    return comment


def delete_comment(session: Session, conversation_id: int, comment_id: int, actor: Actor) -> None:
    """Take it away: one's own, or as a reviewer any. Raises NotFound, Refused."""
    comment = _require(session, conversation_id, comment_id)
    if comment.created_by_user_id != actor.user_id:
        actor.require(Permission.CONVERSATION_REVIEW)
    session.delete(comment)
    session.flush()
    record(session, actor, "conversation.comment_delete", f"conversation/{conversation_id}")


def _require(session: Session, conversation_id: int, comment_id: int) -> ConversationComment:
    conversation = require_conversation(session, conversation_id)
    refuse_archived(session, conversation.dataset_id)
    comment = session.get(ConversationComment, comment_id)
    if comment is None or comment.conversation_id != conversation_id:
        raise NotFound(N_("There is no such comment. It may have been taken away."))
    return comment
