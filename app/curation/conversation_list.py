"""The list of a dataset's conversations, as its page and every change of several of them show it."""

from typing import Any

from fastapi import Request, Response
from sqlmodel import Session

from app.accounts.service import Actor
from app.conversations.assigning import names_of, workers
from app.conversations.counts import DatasetCounts
from app.conversations.filters import ConversationFilter
from app.conversations.labels import label_words
from app.conversations.listing import Listing
from app.conversations.models import Conversation
from app.conversations.snippets import Hit, find_hit
from app.core.templating import is_htmx, render, see
from app.core.web import PAGE_SIZE
from app.curation.header import header
from app.datasets.models import Dataset


def list_context(
    session: Session, actor: Actor, dataset: Dataset, where: ConversationFilter, page: int
) -> dict[str, Any]:
    """What `datasets/_conversations.html` shows, with what is around it."""
    listing = Listing(session, where)
    # A review may have emptied the last page.
    page = min(page, max(1, -(-listing.total // PAGE_SIZE)))
    offset = (page - 1) * PAGE_SIZE
    found = listing.page(offset, PAGE_SIZE)
    return {
        **header(session, actor, dataset, "conversations"),
        "where": where,
        "within": DatasetCounts.by_state(listing.counts),
        "conversations": found,
        "total": listing.total,
        "page": page,
        "first": offset + 1,
        "last": offset + len(found),
        "words": label_words(),
        "workers": workers(session),
        "names": names_of(session, [row.assigned_to_user_id for row in found if row.assigned_to_user_id]),
        "hits": {row.id: _hit(where, row) for row in found} if where.has_query else {},
    }


def list_anew(
    request: Request,
    session: Session,
    actor: Actor,
    dataset: Dataset,
    where: ConversationFilter,
    page: int = 1,
) -> Response:
    """The answer to a change of several: htmx gets the list, others go to its page."""
    if not is_htmx(request):
        return see(f"/datasets/{dataset.id}{where.query_string(page=page if page > 1 else '')}")
    context = list_context(session, actor, dataset, where, page)
    return render(request, "datasets/_conversations.html", context)


def _hit(where: ConversationFilter, row: Conversation) -> Hit | None:
    return find_hit(where.words, row.messages, row.product, row.tags, row.updated_by)
