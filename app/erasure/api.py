"""REST: who holds a conversation, or the dialogues of a dataset, and the erasure from all of them."""

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.web import AppEngine, AppStorage, Db
from app.erasure import service, whole_datasets
from app.erasure.holders import find_holders
from app.erasure.schemas import DatasetHolders, Holders
from app.erasure.whole_datasets import find_dataset_holders

router = Router(prefix="/api/v1")


@router.get("/conversations/{conversation_id}/holders", tags=["conversations"])
@needs(Permission.CONVERSATION_DELETE)
def get_holders(session: Db, storage: AppStorage, conversation_id: int) -> Holders:
    """What holds the conversation: versions, checks, runs, downloads, chats. Works after its deletion too."""
    return find_holders(session, storage, conversation_id)


@router.post("/conversations/{conversation_id}/erase", tags=["conversations"])
@needs(Permission.CONVERSATION_DELETE)
def erase_conversation(
    engine: AppEngine, storage: AppStorage, actor: CurrentActor, conversation_id: int
) -> Holders:
    """Take the conversation out of all that holds it, for good; the answer names what held it."""
    return service.erase(engine, storage, actor, conversation_id)


@router.get("/datasets/{dataset_id}/holders", tags=["datasets"])
@needs(Permission.DATASET_DELETE)
def get_dataset_holders(session: Db, storage: AppStorage, dataset_id: int) -> DatasetHolders:
    """What holds the dialogues of a dataset: versions, checks, runs, downloads, chats."""
    return find_dataset_holders(session, storage, dataset_id)


@router.post("/datasets/{dataset_id}/erase", tags=["datasets"])
@needs(Permission.DATASET_DELETE)
def erase_dataset(
    engine: AppEngine, storage: AppStorage, actor: CurrentActor, dataset_id: int
) -> DatasetHolders:
    """Take every dialogue of the dataset out of all that holds it, for good; the answer names what held them."""
    return whole_datasets.erase_dataset(engine, storage, actor, dataset_id)
