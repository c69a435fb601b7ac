"""REST for comments on conversations."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.who import CreatedByOut
from app.conversations import comments
from app.conversations.comments import MAX_COMMENT, Placed
from app.conversations.service import require_conversation
from app.core.routing import Router
from app.core.web import Db

router = Router(prefix="/api/v1/conversations", tags=["conversations"])
_PATH = "/{conversation_id}/comments"


class CommentIn(BaseModel):
    """A comment; `turn` counts from 0, null is about the whole conversation."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=MAX_COMMENT)]
    turn: int | None = None


class CommentEdit(BaseModel):
    """Whether what the comment asks for is done."""

    model_config = ConfigDict(extra="forbid")

    is_settled: bool


class CommentOut(CreatedByOut):
    """A comment. `turn` is where the turn stands now; `is_gone`: the words it is about, which `quote` begins with, are no
    longer said."""

    id: int
    conversation_id: int
    turn: int | None
    is_gone: bool
    quote: str
    text: str
    created_at: datetime
    settled_by: str | None
    settled_by_user_id: int | None
    settled_by_token_id: int | None
    settled_at: datetime | None

    @classmethod
    def of(cls, placed: Placed) -> "CommentOut":
        """From the stored row and its place."""
        own = {name: getattr(placed.comment, name) for name in cls.model_fields if name != "is_gone"}
        return cls.model_validate({**own, "turn": placed.turn, "is_gone": placed.is_gone})


@router.get(_PATH)
@needs(Permission.CONVERSATION_READ)
def list_comments(session: Db, conversation_id: int) -> list[CommentOut]:
    """Comments on a conversation, oldest first."""
    found = comments.comments_of(session, require_conversation(session, conversation_id))
    return [CommentOut.of(placed) for placed in found]


@router.post(_PATH, status_code=201)
@needs(Permission.CONVERSATION_COMMENT)
def add_comment(session: Db, actor: CurrentActor, conversation_id: int, body: CommentIn) -> CommentOut:
    """Say something about a conversation, or about one of its turns."""
    made = comments.add_comment(session, conversation_id, actor, body.text, body.turn)
    return CommentOut.of(Placed(made, made.turn))


@router.patch(_PATH + "/{comment_id}")
@needs(Permission.CONVERSATION_COMMENT)
def settle_comment(
    session: Db, actor: CurrentActor, conversation_id: int, comment_id: int, body: CommentEdit
) -> CommentOut:
    """Say that it is done, or that it is not."""
    made = comments.settle(session, conversation_id, comment_id, actor, is_settled=body.is_settled)
    conversation = require_conversation(session, conversation_id)
    placed = next(item for item in comments.comments_of(session, conversation) if item.comment.id == made.id)
    return CommentOut.of(placed)


@router.delete(_PATH + "/{comment_id}", status_code=204)
@needs(Permission.CONVERSATION_COMMENT)
def delete_comment(session: Db, actor: CurrentActor, conversation_id: int, comment_id: int) -> None:
    """Take a comment away: one's own, or as a reviewer any."""
    comments.delete_comment(session, conversation_id, comment_id, actor)
