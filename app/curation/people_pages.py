"""Whose work the conversations of a dataset are: the page of who has how many, and giving them to people."""

from typing import Annotated, Literal

from fastapi import Form, Query, Request, Response
from fastapi.responses import HTMLResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.conversations.assigning import assign, workers, workloads
from app.conversations.filter_params import Filter
from app.core.errors import Invalid
from app.core.i18n import gettext, ngettext
from app.core.routing import Router
from app.core.templating import render, see, toast
from app.core.web import Db
from app.curation.conversation_list import list_anew
from app.curation.header import header
from app.datasets.service import require_dataset
from app.sentences import N_

router = Router(include_in_schema=False)


@router.get("/datasets/{dataset_id}/people")
@needs(Permission.CONVERSATION_READ)
def people_page(request: Request, session: Db, actor: CurrentActor, dataset_id: int) -> HTMLResponse:
    """Who has how many conversations, and how far they are."""
    lines = workloads(session, dataset_id)
    nobodys = next((line.counts.draft for line in lines if line.user_id is None), 0)
    context = {
        **header(session, actor, require_dataset(session, dataset_id), "people"),
        "lines": lines,
        "nobodys_drafts": nobodys,
        "workers": workers(session),
    }
    return render(request, "datasets/people.html", context)


@router.post("/datasets/{dataset_id}/people", response_model=None)
@needs(Permission.CONVERSATION_ASSIGN)
def share_out(
    session: Db, actor: CurrentActor, dataset_id: int, user_ids: Annotated[list[int] | None, Form()] = None
) -> Response:
    """Share out what is nobody's among the ticked people."""
    assign(session, dataset_id, None, user_ids or [], actor)
    return see(f"/datasets/{dataset_id}/people")


@router.post("/datasets/{dataset_id}/assign", response_model=None)
@needs(Permission.CONVERSATION_ASSIGN)
def assign_ticked(
    request: Request,
    session: Db,
    actor: CurrentActor,
    dataset_id: int,
    params: Filter,
    ids: Annotated[list[int] | None, Form()] = None,
    assign_to: Annotated[int | Literal[""], Form()] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """Give the ticked conversations to one person, or to nobody; htmx gets the list anew."""
    dataset = require_dataset(session, dataset_id)
    if not ids:
        raise Invalid(N_("Tick at least one conversation first."))
    count = assign(session, dataset_id, ids, [] if assign_to == "" else [assign_to], actor)
    response = list_anew(request, session, actor, dataset, params.within(dataset_id), page)
    names = {worker.user_id: worker.name for worker in workers(session)}
    text = (
        gettext("They are nobody's now.")
        if assign_to == ""
        else ngettext("%(n)d given to %(name)s.", "%(n)d given to %(name)s.", count)
        % {"n": count, "name": names[assign_to]}
    )
    response.headers.update(toast(text))
    return response
