"""What ended, for the person who had asked for it: a bell on every page, and the list behind it."""

from typing import Annotated

from fastapi import Query, Request, Response

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.templating import is_htmx, render, see
from app.core.web import PAGE_SIZE, Db
from app.notices.inbox import count_unread, notices_of, read_all

router = Router(prefix="/notices", include_in_schema=False)


@router.get("", response_model=None)
@needs(Permission.ACCOUNT_USE)
def notices_page(request: Request, session: Db, actor: CurrentActor) -> Response:
    """The newest, those not read yet marked."""
    context = {
        "notices": notices_of(session, actor, limit=PAGE_SIZE),
        "unread": count_unread(session, actor),
    }
    return render(request, "notices/page.html", context)


@router.get("/bell", response_model=None)
@needs(Permission.ACCOUNT_USE)
def bell(
    request: Request, session: Db, actor: CurrentActor, after: Annotated[int, Query(ge=-1, le=2**62)] = -1
) -> Response:
    """How many are not read; those that came after the last one that the page knows are said aloud."""
    found = notices_of(session, actor, limit=PAGE_SIZE, unread=True)
    newest = notices_of(session, actor, limit=1)
    context = {
        "unread": count_unread(session, actor),
        "last": newest[0].id if newest else 0,
        "fresh": [notice for notice in found if -1 < after < (notice.id or 0)][:3],
    }
    return render(request, "notices/_bell.html", context)


@router.post("/read", response_model=None)
@needs(Permission.ACCOUNT_USE)
def read(request: Request, session: Db, actor: CurrentActor) -> Response:
    """All were read."""
    read_all(session, actor)
    if is_htmx(request):
        return Response(status_code=204, headers={"HX-Trigger": "notices:read"})
    return see("/notices")
