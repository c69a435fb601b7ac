"""Pages of a dataset's frozen versions: freezing one, what it covers and holds, what changed since the one before."""

from typing import Annotated, Any

from fastapi import Form, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.conversations.filter_params import Filter
from app.conversations.labels import label_words
from app.conversations.messages import title_of
from app.conversations.models import Conversation
from app.conversations.revisions import snapshot_of
from app.core.database import let_go
from app.core.errors import Conflict, Invalid
from app.core.routing import Router
from app.core.templating import go, is_htmx, render, see
from app.core.web import PAGE_SIZE, AppStorage, Db
from app.curation.freeze_form import FreezeForm
from app.curation.header import facet_fields, header
from app.curation.selections import conditions_of
from app.datasets.service import require_dataset
from app.imports.service import list_imports
from app.versions.changes import changes_of
from app.versions.freezing import freeze as freeze_approved
from app.versions.frozen import frozen_conversation, frozen_page
from app.versions.service import describe_version, require_neighbours, require_number

router = Router(include_in_schema=False)


def _page(session: Session, actor: Actor, dataset_id: int, **more: Any) -> dict[str, Any]:
    around = header(session, actor, require_dataset(session, dataset_id), "versions")
    files = {row.operation_id: row.filename for row in list_imports(session, dataset_id) if row.operation_id}
    return {
        **around,
        "chosen": {row.id: conditions_of(row.selection, files) for row in around["versions"]},
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


@router.get("/datasets/{dataset_id}/versions/new")
@needs(Permission.VERSION_FREEZE)
def freeze_page(
    request: Request, session: Db, actor: CurrentActor, dataset_id: int, params: Filter
) -> HTMLResponse:
    """The form for a version, where no script opens it in a dialog; the address may choose what it holds."""
    context = _freeze_page(session, actor, dataset_id, FreezeForm.of_list(params))
    return render(request, "datasets/freeze.html", context)


def _freeze_page(
    session: Session, actor: Actor, dataset_id: int, typed: FreezeForm, **more: Any
) -> dict[str, Any]:
    fields = facet_fields(session, dataset_id)
    return _page(session, actor, dataset_id, freeze=typed, freeze_facets=fields, **more)


@router.post("/datasets/{dataset_id}/versions", response_model=None)
@needs(Permission.VERSION_FREEZE)
def freeze(
    request: Request,
    session: Db,
    storage: AppStorage,
    actor: CurrentActor,
    dataset_id: int,
    typed: Annotated[FreezeForm, Form()],
) -> Response:
    """Freeze what is approved now, or what of it is chosen, and show it; where nothing has changed, say so."""
    dataset = require_dataset(session, dataset_id)
    try:
        version, is_new = freeze_approved(session, storage, dataset, actor, typed.options(dataset_id))
    except Invalid as error:
        session.rollback()
        context = _freeze_page(session, actor, dataset_id, typed, freeze_refused=error)
        template = "datasets/_freeze_form.html" if is_htmx(request) else "datasets/freeze.html"
        return render(request, template, context, status=422)
    same = "" if is_new else f"?same_as={version.number}"
    return go(request, f"/datasets/{dataset_id}/versions{same}#version-{version.number}")


@router.post("/datasets/{dataset_id}/versions/{number}", response_model=None)
@needs(Permission.VERSION_FREEZE)
def describe(
    request: Request,
    session: Db,
    actor: CurrentActor,
    dataset_id: int,
    number: int,
    name: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
) -> Response:
    """Name a version anew, or note something about it."""
    version = require_number(session, dataset_id, number)
    note = note.replace("\r\n", "\n")
    try:
        describe_version(session, actor, version, name=name, note=note)
    except Invalid as error:
        session.rollback()
        context = _page(session, actor, dataset_id, error=error.translated())
        return render(request, "datasets/versions.html", context, status=422)
    return see(f"/datasets/{dataset_id}/versions#version-{number}")


@router.get("/datasets/{dataset_id}/versions/{number}")
@needs(Permission.VERSION_READ)
def contents(
    request: Request,
    session: Db,
    storage: AppStorage,
    dataset_id: int,
    number: int,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> HTMLResponse:
    """The conversations that a version holds, as it froze them."""
    dataset, version = require_dataset(session, dataset_id), require_number(session, dataset_id, number)
    let_go(session)
    total = version.conversation_count
    page = min(page, max(1, -(-total // PAGE_SIZE)))
    offset = (page - 1) * PAGE_SIZE
    rows, failed = [], None
    try:
        rows = frozen_page(storage, version, offset, PAGE_SIZE)
    except Conflict as error:
        failed = error.translated()
    context = {
        "dataset": dataset,
        "version": version,
        "lines": [(title_of(row["messages"]), row) for row in rows],
        "failed": failed,
        "words": label_words(),
        "page": page,
        "first": offset + 1,
        "last": offset + len(rows),
    }
    return render(request, "datasets/version.html", context)


@router.get("/datasets/{dataset_id}/versions/{number}/conversations/{conversation_id}")
@needs(Permission.VERSION_READ)
def frozen(
    request: Request, session: Db, storage: AppStorage, dataset_id: int, number: int, conversation_id: int
) -> HTMLResponse:
    """One conversation as a version froze it, to read."""
    dataset, version = require_dataset(session, dataset_id), require_number(session, dataset_id, number)
    stored = session.get(Conversation, conversation_id)
    let_go(session)
    row = frozen_conversation(storage, version, conversation_id)
    now = snapshot_of(stored) if stored else {}
    context = {
        "dataset": dataset,
        "version": version,
        "row": row,
        "title": title_of(row["messages"]),
        "is_stored": stored is not None,
        "differs": any(now.get(name) != row.get(name) for name in ("messages", "tools")),
        "words": label_words(),
    }
    return render(request, "datasets/frozen_conversation.html", context)


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
