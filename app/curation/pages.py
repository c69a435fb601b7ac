"""Pages of datasets: the list, one dataset's conversations, a list of its imports."""

from typing import Annotated, Any

from fastapi import Form, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.conversations.bulk_review import are_waiting, review_many, undo_approvals
from app.conversations.counts import pending_work
from app.conversations.drafts import create_conversation
from app.conversations.filter_params import Filter
from app.conversations.models import Conversation, ReviewState
from app.core.database import utc_now
from app.core.errors import Invalid, StudioError
from app.core.i18n import gettext, ngettext
from app.core.pieces import piece
from app.core.routing import Router
from app.core.templating import go, is_htmx, render, see, toast
from app.core.web import Db, Moment
from app.curation.conversation_list import list_anew, list_context
from app.curation.header import facet_fields, header
from app.curation.lines import dataset_lines
from app.datasets import service
from app.dialogue.roles import Role
from app.imports.background import jobs_of
from app.imports.service import list_imports
from app.sentences import N_

router = Router(include_in_schema=False)


@router.get("/datasets")
@needs(Permission.DATASET_READ)
def list_page(request: Request, session: Db, actor: CurrentActor, archived: bool = False) -> HTMLResponse:
    """The datasets at hand with what waits for this person, or the archived ones."""
    context = {
        "lines": dataset_lines(session, archived=archived),
        "archived": archived,
        "pending": [] if archived else pending_work(session, actor),
        "me": actor.user_id,
        "archived_count": service.count_archived(session),
    }
    return render(request, "datasets/list.html", {**context, **_create_form()})


def _create_form(name: str = "", description: str = "", error: StudioError | None = None) -> dict[str, Any]:
    message = error.translated() if error else None
    return {"name": name, "description": description, "error": message}


@router.get("/datasets/new")
@needs(Permission.DATASET_CREATE)
def new_page(
    request: Request,
) -> HTMLResponse:
    """The form for a new dataset, where no script opens it in a dialog."""
    return render(request, "datasets/new.html", _create_form())


@router.post("/datasets", response_model=None)
@needs(Permission.DATASET_CREATE)
def create(
    request: Request,
    session: Db,
    actor: CurrentActor,
    name: Annotated[str, Form()] = "",
    description: Annotated[str, Form()] = "",
) -> Response:
    """Make a dataset and go there."""
    try:
        dataset = service.create_dataset(session, actor, name=name, description=description)
    except StudioError as error:
        session.rollback()
        template = "datasets/_create_form.html" if is_htmx(request) else "datasets/new.html"
        return render(request, template, _create_form(name, description, error), status=422)
    return go(request, f"/datasets/{dataset.id}")


@router.get("/datasets/{dataset_id}")
@needs(Permission.CONVERSATION_READ)
def dataset_page(
    request: Request,
    session: Db,
    actor: CurrentActor,
    dataset_id: int,
    params: Filter,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> HTMLResponse:
    """The conversations of a dataset; htmx asks for the list alone."""
    dataset = service.require_dataset(session, dataset_id)
    where = params.within(dataset_id)
    context = list_context(session, actor, dataset, where, page)
    if request.headers.get("HX-Target") == "conversation-list":
        response = render(request, "datasets/_conversations.html", context)
        # The address says what narrows the list, and nothing of the fields that were left empty.
        response.headers["HX-Push-Url"] = f"/datasets/{dataset_id}{where.query_string()}"
        return response
    facets = facet_fields(session, dataset_id) if where.has_facets else None
    return render(request, "datasets/dataset.html", {**context, "facets": facets})


@router.get("/datasets/{dataset_id}/facets")
@needs(Permission.CONVERSATION_READ)
def facets(request: Request, session: Db, dataset_id: int, params: Filter) -> HTMLResponse:
    """The fields by which the list can be narrowed to a label, a person or an import; asked for when they are opened."""
    service.require_dataset(session, dataset_id)
    context = {"where": params.within(dataset_id), "facets": facet_fields(session, dataset_id)}
    return render(request, "datasets/_facets.html", context)


@router.get("/datasets/{dataset_id}/conversations/new")
@needs(Permission.CONVERSATION_EDIT)
def new_conversation_page(request: Request, session: Db, dataset_id: int) -> HTMLResponse:
    """The first two turns to write. Nothing is stored before there are words."""
    dataset = service.require_dataset(session, dataset_id)
    context = {"dataset": dataset, "said": ("", ""), "error": None}
    return render(request, "conversations/new.html", context)


@router.post("/datasets/{dataset_id}/conversations", response_model=None)
@needs(Permission.CONVERSATION_EDIT)
def add_conversation(
    request: Request,
    session: Db,
    actor: CurrentActor,
    dataset_id: int,
    asked: Annotated[str, Form()] = "",
    answered: Annotated[str, Form()] = "",
) -> Response:
    """Store a conversation with its first words, and go on in it with the turn after them."""
    dataset = service.require_dataset(session, dataset_id)
    said = [text.replace("\r\n", "\n") for text in (asked, answered)]
    messages = [
        {"role": role.value, "content": text}
        for role, text in zip((Role.USER, Role.ASSISTANT), said, strict=True)
    ]
    try:
        if not any(text.strip() for text in said):
            raise Invalid(N_("Write what is said first."), field="asked")
        conversation = create_conversation(session, dataset_id, {"messages": messages}, actor)
    except StudioError as error:
        session.rollback()
        context = {"dataset": dataset, "said": said, "error": error.translated()}
        return render(request, "conversations/new.html", context, status=error.status)
    return see(f"/conversations/{conversation.id}#turn-2")


@router.post("/datasets/{dataset_id}/review", response_model=None)
@needs(Permission.CONVERSATION_REVIEW)
def review(
    request: Request,
    session: Db,
    actor: CurrentActor,
    dataset_id: int,
    params: Filter,
    state: Annotated[ReviewState, Form()],
    scope: Annotated[str, Form(pattern="^(selected|drafts)$")] = "selected",
    ids: Annotated[list[int] | None, Form()] = None,
    reason: Annotated[str, Form(max_length=2000, title=N_("Reason"))] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """Approve or send back several conversations: the ticked ones, or all that nobody has decided on."""
    dataset = service.require_dataset(session, dataset_id)
    chosen = None if scope == "drafts" else ids or []
    if chosen == []:
        raise Invalid(N_("Tick at least one conversation first."))
    with piece(session, read_only=True):
        undoable = state is ReviewState.APPROVED and are_waiting(session, chosen)
    since = utc_now()
    changed, refused = review_many(session, dataset_id, chosen, actor, state, reason)
    where = params.within(dataset_id)
    undo = f"/datasets/{dataset_id}/review/undo{where.query_string(since=since.isoformat(), until=utc_now().isoformat())}"
    response = list_anew(request, session, actor, dataset, where, page)
    told = _review_toast(session, state, changed, refused, undo if undoable and changed else None)
    response.headers.update(told)
    return response


@router.post("/datasets/{dataset_id}/review/undo", response_model=None)
@needs(Permission.CONVERSATION_REVIEW)
def undo_review(
    request: Request,
    session: Db,
    actor: CurrentActor,
    dataset_id: int,
    params: Filter,
    since: Moment,
    until: Moment,
) -> Response:
    """Take back what this person has just approved all at once."""
    dataset = service.require_dataset(session, dataset_id)
    changed, _refused = undo_approvals(session, dataset_id, actor, since, until)
    response = list_anew(request, session, actor, dataset, params.within(dataset_id))
    said = ngettext("%(n)d is unreviewed again.", "%(n)d are unreviewed again.", changed) % {"n": changed}
    response.headers.update({**toast(said), "HX-Retarget": "#conversation-list", "HX-Reswap": "outerHTML"})
    return response


def _review_toast(
    session: Session, state: ReviewState, changed: int, refused: list[tuple[int, str]], undo_url: str | None
) -> dict[str, str]:
    if state is ReviewState.APPROVED:
        text = ngettext("%(n)d conversation approved.", "%(n)d conversations approved.", changed)
    elif state is ReviewState.DISCARDED:
        text = ngettext("%(n)d conversation discarded.", "%(n)d conversations discarded.", changed)
    else:
        text = ngettext("%(n)d conversation sent back.", "%(n)d conversations sent back.", changed)
    text %= {"n": changed}
    if not refused:
        return toast(text, undo_url=undo_url)
    more = ngettext(
        "%(n)d was left out: “%(title)s”. %(reason)s",
        "%(n)d were left out, “%(title)s” for one. %(reason)s",
        len(refused),
    )
    number, reason = refused[0]
    found = session.get(Conversation, number)
    title = found.title if found and found.title else str(number)
    more %= {"n": len(refused), "title": title, "reason": gettext(reason)}
    link = f"/conversations/{number}" if found else None
    return toast(f"{text} {more}", kind="warn", undo_url=undo_url, link_url=link)


@router.get("/datasets/{dataset_id}/imports")
@needs(Permission.DATASET_READ)
def imports_page(request: Request, session: Db, actor: CurrentActor, dataset_id: int) -> HTMLResponse:
    """Every import with what it brought."""
    dataset = service.require_dataset(session, dataset_id)
    imports = list_imports(session, dataset_id)
    context = {
        **header(session, actor, dataset, "imports"),
        "imports": imports,
        "jobs": jobs_of(session, imports),
    }
    return render(request, "datasets/imports.html", context)
