"""The pages that name what holds a conversation, or the dialogues of a dataset, and erase them from all of that."""

from fastapi import Request, Response

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.errors import Conflict
from app.core.routing import Router
from app.core.templating import render
from app.core.web import AppEngine, AppStorage, Db
from app.erasure import service, whole_datasets
from app.erasure.holders import find_holders

router = Router(include_in_schema=False)


@router.get("/conversations/{conversation_id}/erase")
@needs(Permission.CONVERSATION_DELETE)
def erase_page(request: Request, session: Db, storage: AppStorage, conversation_id: int) -> Response:
    """What would be erased, and what cannot be."""
    context = {"holders": find_holders(session, storage, conversation_id), "erased": False, "error": None}
    return render(request, "erasure/page.html", context)


@router.post("/conversations/{conversation_id}/erase")
@needs(Permission.CONVERSATION_DELETE)
def erase(
    request: Request, engine: AppEngine, storage: AppStorage, actor: CurrentActor, conversation_id: int
) -> Response:
    """Erase it; the page then says what held it."""
    try:
        holders = service.erase(engine, storage, actor, conversation_id)
    except Conflict as error:
        context = {"holders": service.holders_now(engine, storage, conversation_id), "erased": False}
        return render(
            request, "erasure/page.html", {**context, "error": error.translated()}, status=error.status
        )
    return render(request, "erasure/page.html", {"holders": holders, "erased": True, "error": None})


@router.get("/datasets/{dataset_id}/erase")
@needs(Permission.DATASET_DELETE)
def erase_dataset_page(request: Request, session: Db, storage: AppStorage, dataset_id: int) -> Response:
    """What would be erased of a dataset, and what cannot be."""
    holders = whole_datasets.find_dataset_holders(session, storage, dataset_id)
    return render(request, "erasure/dataset.html", {"holders": holders, "erased": False, "error": None})


@router.post("/datasets/{dataset_id}/erase")
@needs(Permission.DATASET_DELETE)
def erase_dataset(
    request: Request, engine: AppEngine, storage: AppStorage, actor: CurrentActor, dataset_id: int
) -> Response:
    """Erase all its dialogues; the page then says what held them."""
    try:
        holders = whole_datasets.erase_dataset(engine, storage, actor, dataset_id)
    except Conflict as error:
        holders = whole_datasets.holders_of_dataset_now(engine, storage, dataset_id)
        context = {"holders": holders, "erased": False, "error": error.translated()}
        return render(request, "erasure/dataset.html", context, status=error.status)
    return render(request, "erasure/dataset.html", {"holders": holders, "erased": True, "error": None})
