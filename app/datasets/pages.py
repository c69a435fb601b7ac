"""Pages of datasets: the list, one dataset's conversations, its frozen versions, its imports."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse

from app.accounts.access import Annotator, AnyActor, Engineer, Reviewer
from app.accounts.models import Role
from app.accounts.service import Actor
from app.conversations import service as conversations
from app.conversations.archives import refuse_archived
from app.conversations.filter_params import Filter
from app.conversations.filters import ConversationFilter
from app.conversations.labels import label_words
from app.conversations.listing import Listing
from app.conversations.models import MessageRole, ReviewState
from app.core.errors import Invalid, NotFound, StudioError
from app.core.i18n import gettext, ngettext, say
from app.core.templating import is_htmx, render, toast
from app.core.web import AppSettings, AppStorage, Db
from app.datasets import imports, service, versions
from app.datasets.incoming import IncomingFile
from app.datasets.models import Dataset, DatasetImport
from app.datasets.sources import Told, ToldSource
from app.interchange import FORMATS, Format
from app.sentences import N_, Sentence

router = APIRouter(include_in_schema=False)
PAGE_SIZE: Final = 50
_FORMAT_LABELS: Final = {
    "auto": N_("Detect it"),
    "messages": N_("OpenAI messages (JSON Lines)"),
    "sharegpt": N_("ShareGPT"),
    "alpaca": N_("Alpaca"),
    "csv": N_("CSV, one message a row"),
    "parquet": N_("Parquet"),
}


def _see(path: str) -> Response:
    return RedirectResponse(path, status_code=303)


def go(request: Request, path: str) -> Response:
    """On to another page: a redirect, or the header that makes htmx do it."""
    if is_htmx(request):
        return Response(status_code=204, headers={"HX-Redirect": path})
    return _see(path)


@router.get("/datasets")
def list_page(request: Request, session: Db, _actor: AnyActor, archived: bool = False) -> HTMLResponse:
    """The datasets at hand, or the archived ones."""
    context = {
        "lines": service.dataset_lines(session, archived=archived),
        "archived": archived,
        "archived_count": service.count_archived(session),
    }
    return render(request, "datasets/list.html", {**context, **_create_form()})


def _create_form(name: str = "", description: str = "", error: StudioError | None = None) -> dict[str, Any]:
    message = error.translated() if error else None
    return {"name": name, "description": description, "error": message}


@router.get("/datasets/new")
def new_page(request: Request, _actor: Annotator) -> HTMLResponse:
    """The form for a new dataset, where no script opens it in a dialog."""
    return render(request, "datasets/new.html", _create_form())


@router.post("/datasets", response_model=None)
def create(
    request: Request,
    session: Db,
    actor: Annotator,
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


def header(session: Db, actor: Actor, dataset: Dataset, tab: str) -> dict[str, Any]:
    """What every tab of a dataset shows around its own content."""
    assert dataset.id is not None
    frozen = versions.list_versions(session, dataset.id)
    return {
        "dataset": dataset,
        "counts": service.dataset_counts(session, dataset.id),
        "versions": frozen,
        "newest": frozen[0] if frozen else None,
        "import_count": imports.count_imports(session, dataset.id),
        "tab": tab,
        "can_write": not dataset.archived_at,
        "can_review": not dataset.archived_at and actor.role.includes(Role.REVIEWER),
        "can_freeze": not dataset.archived_at and actor.role.includes(Role.ENGINEER),
        "can_describe": actor.role.includes(Role.REVIEWER),
        "can_remove": actor.role.includes(Role.ENGINEER),
    }


def _conversations(session: Db, where: ConversationFilter, page: int) -> dict[str, Any]:
    listing = Listing(session, where)
    # A review may have emptied the last page.
    page = min(page, max(1, -(-listing.total // PAGE_SIZE)))
    offset = (page - 1) * PAGE_SIZE
    found = listing.page(offset, PAGE_SIZE)
    return {
        "where": where,
        "within": service.DatasetCounts.of(listing.counts),
        "conversations": found,
        "total": listing.total,
        "page": page,
        "first": offset + 1,
        "last": offset + len(found),
        "words": label_words(),
    }


@router.get("/datasets/{dataset_id}")
def dataset_page(
    request: Request,
    session: Db,
    actor: AnyActor,
    dataset_id: int,
    params: Filter,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> HTMLResponse:
    """The conversations of a dataset; htmx asks for the list alone."""
    dataset = service.require_dataset(session, dataset_id)
    where = params.within(dataset_id)
    context = {
        **header(session, actor, dataset, "conversations"),
        **_conversations(session, where, page),
    }
    alone = request.headers.get("HX-Target") == "conversation-list"
    return render(request, "datasets/_conversations.html" if alone else "datasets/dataset.html", context)


@router.post("/datasets/{dataset_id}/conversations", response_model=None)
def add_conversation(request: Request, session: Db, actor: Annotator, dataset_id: int) -> Response:
    """An empty conversation, opened at once for writing."""
    service.require_dataset(session, dataset_id)
    data = {"messages": [{"role": MessageRole.USER.value, "content": ""}]}
    conversation = conversations.create_conversation(session, dataset_id, data, actor)
    return go(request, f"/conversations/{conversation.id}")


@router.post("/datasets/{dataset_id}/review", response_model=None)
def review(
    request: Request,
    session: Db,
    actor: Reviewer,
    dataset_id: int,
    params: Filter,
    state: Annotated[ReviewState, Form()],
    scope: Annotated[str, Form(pattern="^(selected|drafts)$")] = "selected",
    ids: Annotated[list[int] | None, Form()] = None,
    reason: Annotated[str, Form(max_length=2000)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """Approve or send back several conversations: the ticked ones, or every draft."""
    dataset = service.require_dataset(session, dataset_id)
    chosen = service.draft_ids(session, dataset_id) if scope == "drafts" else ids or []
    if not chosen:
        raise Invalid(N_("Tick at least one conversation first."))
    service.require_members(session, dataset_id, chosen)
    changed, refused = conversations.review_many(session, chosen, actor, state, reason)
    where = params.within(dataset_id)
    if not is_htmx(request):
        return _see(f"/datasets/{dataset_id}{where.query_string(page=page if page > 1 else '')}")
    context = {**header(session, actor, dataset, "conversations"), **_conversations(session, where, page)}
    response = render(request, "datasets/_conversations.html", context)
    response.headers.update(_review_toast(state, changed, refused))
    return response


def _review_toast(state: ReviewState, changed: int, refused: list[tuple[int, str]]) -> dict[str, str]:
    if state is ReviewState.APPROVED:
        text = ngettext("%(n)d conversation approved.", "%(n)d conversations approved.", changed)
    else:
        text = ngettext("%(n)d conversation sent back.", "%(n)d conversations sent back.", changed)
    text %= {"n": changed}
    if not refused:
        return toast(text)
    more = ngettext(
        "%(n)d was left out, for example conversation %(id)d: %(reason)s",
        "%(n)d were left out, for example conversation %(id)d: %(reason)s",
        len(refused),
    ) % {"n": len(refused), "id": refused[0][0], "reason": gettext(refused[0][1])}
    return toast(f"{text} {more}", kind="warn")


@router.get("/datasets/{dataset_id}/versions")
def versions_page(request: Request, session: Db, actor: AnyActor, dataset_id: int) -> HTMLResponse:
    """Frozen versions with their hash and what they cover."""
    dataset = service.require_dataset(session, dataset_id)
    context = {**header(session, actor, dataset, "versions"), "words": label_words(), "error": None}
    return render(request, "datasets/versions.html", context)


@router.post("/datasets/{dataset_id}/versions", response_model=None)
def freeze(request: Request, session: Db, storage: AppStorage, actor: Engineer, dataset_id: int) -> Response:
    """Freeze what is approved now, and show it."""
    dataset = service.require_dataset(session, dataset_id)
    try:
        version = versions.freeze(session, storage, dataset, actor)
    except Invalid as error:
        if is_htmx(request):
            raise
        context = {**header(session, actor, dataset, "versions"), "words": label_words()}
        return render(request, "datasets/versions.html", {**context, "error": error.translated()}, status=422)
    return go(request, f"/datasets/{dataset_id}/versions#version-{version.number}")


@router.get("/datasets/{dataset_id}/imports")
def imports_page(request: Request, session: Db, actor: AnyActor, dataset_id: int) -> HTMLResponse:
    """Every import with what it brought."""
    dataset = service.require_dataset(session, dataset_id)
    context = {
        **header(session, actor, dataset, "imports"),
        "imports": imports.list_imports(session, dataset_id),
    }
    return render(request, "datasets/imports.html", context)


def _import_form(
    settings: AppSettings, dataset: Dataset, format: str = "auto", **more: Any
) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "formats": [(name, gettext(_FORMAT_LABELS[name])) for name in FORMATS],
        "format": format,
        "skip_bad": False,
        "error": None,
        "max_bytes": settings.max_upload_bytes,
        **ToldSource().form(),
        **more,
    }


@router.get("/datasets/{dataset_id}/import")
def import_page(
    request: Request, session: Db, settings: AppSettings, _actor: Annotator, dataset_id: int
) -> HTMLResponse:
    """Choose a file."""
    dataset = service.require_dataset(session, dataset_id)
    refuse_archived(session, dataset_id)
    return render(request, "datasets/import.html", {**_import_form(settings, dataset), "report": None})


@router.post("/datasets/{dataset_id}/import", response_model=None)
def import_file(
    request: Request,
    session: Db,
    settings: AppSettings,
    actor: Annotator,
    dataset_id: int,
    file: Annotated[UploadFile | None, File()] = None,
    format: Annotated[Format, Form()] = "auto",
    skip_bad: Annotated[bool, Form()] = False,
    *,
    told: Told,
) -> Response:
    """Import a file; the report says what came in. htmx stays on the form when nothing did."""
    if file is None or not file.filename:
        dataset = service.require_dataset(session, dataset_id)
        text = gettext("Choose a file first.")
        form = _import_form(
            settings, dataset, format, skip_bad=skip_bad, error=text, report=None, **told.form()
        )
        template = "datasets/_import_form.html" if is_htmx(request) else "datasets/import.html"
        return render(request, template, form, status=422)
    try:
        source = told.read(file.filename, format)
    except Invalid as error:
        if is_htmx(request):
            raise  # a toast: the form with its chosen files stays
        dataset = service.require_dataset(session, dataset_id)
        form = _import_form(settings, dataset, format, skip_bad=skip_bad, report=None, **told.form(error))
        return render(request, "datasets/import.html", form, status=422)
    with IncomingFile(
        file.file, filename=file.filename, format=format, skip_bad=skip_bad, source=source
    ) as incoming:
        found = imports.import_file(session, dataset_id, actor, incoming)
    dataset = service.require_dataset(session, dataset_id)
    if is_htmx(request) and found.problem_count and not found.accepted:
        return render(
            request, "datasets/_import_report.html", _report(dataset, found, can_retry=True), status=422
        )
    return go(request, f"/datasets/{dataset_id}/imports/{found.id}")


def _report(dataset: Dataset, found: DatasetImport, *, can_retry: bool = False) -> dict[str, Any]:
    # A file that tells nothing of itself has no format, whatever was chosen.
    label = N_("unknown") if found.format == "auto" else _FORMAT_LABELS.get(found.format, found.format)
    return {
        "dataset": dataset,
        "report": found,
        "problems": [_remark(item) for item in found.problems],
        "notes": [_remark(item) for item in found.notes],
        "format_label": gettext(label),
        "can_retry": can_retry,
        "is_unreadable": bool(found.problems) and not any(item["line"] for item in found.problems),
    }


def _remark(stored: dict[str, Any]) -> dict[str, Any]:
    message = say(Sentence.stored_in(stored))
    return {"line": stored["line"], "code": stored["code"], "message": message}


@router.get("/datasets/{dataset_id}/imports/{import_id}")
def import_report_page(
    request: Request, session: Db, settings: AppSettings, _actor: AnyActor, dataset_id: int, import_id: int
) -> HTMLResponse:
    """What an import brought, and each line that it did not."""
    dataset = service.require_dataset(session, dataset_id)
    found = imports.require_import(session, import_id)
    if found.dataset_id != dataset_id:
        raise NotFound(N_("There is no import %(id)d."), id=import_id)
    form = _import_form(settings, dataset, skip_bad=True)
    return render(request, "datasets/import_report.html", {**form, **_report(dataset, found)})
