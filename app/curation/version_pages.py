"""The page of a dataset's frozen versions: freezing one, what it covers, what changed since the one before."""

from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.conversations.labels import label_words
from app.core.database import let_go
from app.core.errors import Conflict, Invalid
from app.core.routing import Router
from app.core.templating import go, is_htmx, render
from app.core.web import AppStorage, Db
from app.curation.header import header
from app.datasets.service import require_dataset
from app.versions.changes import changes_of
from app.versions.freezing import freeze as freeze_approved
from app.versions.service import require_neighbours, require_number

router = Router(include_in_schema=False)


def _page(session: Session, actor: Actor, dataset_id: int, **more: Any) -> dict[str, Any]:
    return {
        **header(session, actor, require_dataset(session, dataset_id), "versions"),
        "words": label_words(),
        "error": None,
        "same_as": None,
        "compared": None,
        **more,
    }


@router.get("/datasets/{dataset_id}/versions")
@needs(Permission.VERSION_READ)
def versions_page(
    request: Request,
    session: Db,
    actor: CurrentActor,
    dataset_id: int,
    same_as: Annotated[int | None, Query(ge=1)] = None,
) -> HTMLResponse:
    """Frozen versions with their hash and what they cover; `same_as` is the one that freezing again gave."""
    context = _page(session, actor, dataset_id, same_as=same_as)
    return render(request, "datasets/versions.html", context)


@router.post("/datasets/{dataset_id}/versions", response_model=None)
@needs(Permission.VERSION_FREEZE)
def freeze(
    request: Request, session: Db, storage: AppStorage, actor: CurrentActor, dataset_id: int
) -> Response:
    """Freeze what is approved now, and show it; where nothing has changed, say so."""
    try:
        version, is_new = freeze_approved(session, storage, require_dataset(session, dataset_id), actor)
    except Invalid as error:
        if is_htmx(request):
            raise
        context = _page(session, actor, dataset_id, error=error.translated())
        return render(request, "datasets/versions.html", context, status=422)
    same = "" if is_new else f"?same_as={version.number}"
    return go(request, f"/datasets/{dataset_id}/versions{same}#version-{version.number}")


@router.get("/datasets/{dataset_id}/versions/{number}/changes")
@needs(Permission.VERSION_READ)
def changes(
    request: Request, session: Db, storage: AppStorage, actor: CurrentActor, dataset_id: int, number: int
) -> HTMLResponse:
    """What differs from the version before: htmx puts it into the version's card, a link shows it on the page."""
    version = require_number(session, dataset_id, number)
    assert version.id is not None
    before, after = require_neighbours(session, version.id)
    compared: dict[str, Any] = {"before": before, "after": after, "changes": None, "failed": None}
    let_go(session)
    try:
        compared["changes"] = changes_of(storage, before, after)
    except Conflict as error:
        compared["failed"] = error.translated()
    if is_htmx(request):
        return render(request, "datasets/_changes.html", {"compared": compared})
    return render(request, "datasets/versions.html", _page(session, actor, dataset_id, compared=compared))
