"""The page that names what holds a conversation and erases it from all of them."""

from fastapi import APIRouter, Request, Response

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.errors import Conflict
from app.core.templating import render
from app.core.web import AppEngine, AppStorage, Db
from app.erasure import service
from app.erasure.holders import find_holders

router = APIRouter(prefix="/conversations", include_in_schema=False)


@router.get("/{conversation_id}/erase")
@needs(Permission.CONVERSATION_DELETE)
def erase_page(request: Request, session: Db, storage: AppStorage, conversation_id: int) -> Response:
    """What would be erased, and what cannot be."""
    context = {"holders": find_holders(session, storage, conversation_id), "erased": False, "error": None}
    return render(request, "erasure/page.html", context)


@router.post("/{conversation_id}/erase")
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
