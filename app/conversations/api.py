"""REST for conversations."""

from fastapi import APIRouter

from app.accounts.access import Annotator, AnyActor, Reviewer
from app.conversations import service
from app.conversations.schemas import ConversationEdit, ConversationOut, ReviewIn
from app.core.web import Db

router = APIRouter(prefix="/api/v1", tags=["conversations"])


@router.get("/conversations/{conversation_id}")
def get_conversation(session: Db, _actor: AnyActor, conversation_id: int) -> ConversationOut:
    """One conversation."""
    return ConversationOut.of(service.require_conversation(session, conversation_id))


@router.patch("/conversations/{conversation_id}")
def edit_conversation(
    session: Db, actor: Annotator, conversation_id: int, body: ConversationEdit
) -> ConversationOut:
    """Replace messages and/or labels of exactly the given version."""
    conversation = service.require_conversation(session, conversation_id)
    version = body.version
    if body.messages is not None:
        messages = [message.plain() for message in body.messages]
        conversation = service.edit_messages(
            session, conversation_id, version, actor, "edit", lambda _old: messages
        )
        version = conversation.version
    if body.labels is not None:
        labels = body.labels.model_dump(exclude_unset=True)
        conversation = service.set_labels(session, conversation_id, version, actor, labels)
    return ConversationOut.of(conversation)


@router.post("/conversations/{conversation_id}/review")
def review_conversation(
    session: Db, actor: Reviewer, conversation_id: int, body: ReviewIn
) -> ConversationOut:
    """Approve, reject with a reason, or reopen."""
    return ConversationOut.of(
        service.review(session, conversation_id, body.version, actor, body.state, body.reason)
    )


@router.delete("/conversations/{conversation_id}", status_code=204)
def delete_conversation(session: Db, actor: Reviewer, conversation_id: int) -> None:
    """Erase a conversation and its revisions."""
    service.delete_conversation(session, conversation_id, actor)
