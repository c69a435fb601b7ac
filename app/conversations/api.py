"""REST for conversations."""

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.conversations import review, revisions, service
from app.conversations.revisions import RevisionLine
from app.conversations.schemas import ConversationEdit, ConversationOut, RestoreIn, ReviewIn
from app.core.routing import Router
from app.core.web import Db

router = Router(prefix="/api/v1", tags=["conversations"])


@router.get("/conversations/{conversation_id}")
@needs(Permission.CONVERSATION_READ)
def get_conversation(session: Db, conversation_id: int) -> ConversationOut:
    """One conversation."""
    return ConversationOut.of(service.require_conversation(session, conversation_id))


@router.patch("/conversations/{conversation_id}")
@needs(Permission.CONVERSATION_EDIT)
def edit_conversation(
    session: Db, actor: CurrentActor, conversation_id: int, body: ConversationEdit
) -> ConversationOut:
    """Replace messages, tools and/or labels of exactly the given version."""
    conversation = service.require_conversation(session, conversation_id)
    version = body.version
    if body.messages is not None or "tools" in body.model_fields_set:
        given = body.model_fields_set - {"version", "labels"}
        said = {name: getattr(body, name) for name in given}
        conversation = service.say(session, conversation_id, version, actor, said)
        version = conversation.version
    if body.labels is not None:
        conversation = service.set_labels(session, conversation_id, version, actor, body.labels.given())
    return ConversationOut.of(conversation)


@router.post("/conversations/{conversation_id}/review")
@needs(Permission.CONVERSATION_HAND_IN)
def review_conversation(
    session: Db, actor: CurrentActor, conversation_id: int, body: ReviewIn
) -> ConversationOut:
    """Approve, reject with a reason, or reopen. Without that permission one may hand in again what was sent back."""
    return ConversationOut.of(
        review.review(session, conversation_id, body.version, actor, body.state, body.reason)
    )


@router.get("/conversations/{conversation_id}/revisions")
@needs(Permission.CONVERSATION_READ)
def list_revisions(session: Db, conversation_id: int) -> list[RevisionLine]:
    """The newest hundred changes, newest first."""
    service.require_conversation(session, conversation_id)
    return revisions.history(session, conversation_id)


@router.post("/conversations/{conversation_id}/restore")
@needs(Permission.CONVERSATION_EDIT)
def restore_conversation(
    session: Db, actor: CurrentActor, conversation_id: int, body: RestoreIn
) -> ConversationOut:
    """Undo: make an older version's messages and labels the current ones."""
    return ConversationOut.of(service.restore(session, conversation_id, body.version, actor, body.wanted))


@router.delete("/conversations/{conversation_id}", status_code=204)
@needs(Permission.CONVERSATION_DELETE)
def delete_conversation(session: Db, actor: CurrentActor, conversation_id: int) -> None:
    """Erase a conversation and its revisions."""
    service.delete_conversation(session, conversation_id, actor)
