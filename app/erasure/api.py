"""REST: who holds a conversation, and its erasure from all of them."""

from fastapi import APIRouter

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.web import AppEngine, AppStorage, Db
from app.erasure import service
from app.erasure.holders import find_holders
from app.erasure.schemas import HoldersOut

router = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])


@router.get("/{conversation_id}/holders")
@needs(Permission.CONVERSATION_DELETE)
def get_holders(session: Db, storage: AppStorage, conversation_id: int) -> HoldersOut:
    """What holds the conversation: versions, checks, runs, downloads, chats. Works after its deletion too."""
    return HoldersOut.of(find_holders(session, storage, conversation_id))


@router.post("/{conversation_id}/erase")
@needs(Permission.CONVERSATION_DELETE)
def erase_conversation(
    engine: AppEngine, storage: AppStorage, actor: CurrentActor, conversation_id: int
) -> HoldersOut:
    """Take the conversation out of all that holds it, for good; the answer names what held it."""
    return HoldersOut.of(service.erase(engine, storage, actor, conversation_id))
