"""Decisions on the page of a conversation: whose work it is, handing in, approving, sending back."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import Form, Response

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.conversations import assigning
from app.conversations import review as reviews
from app.conversations.models import ReviewState
from app.conversations.view import Version, View
from app.core.errors import Conflict, StudioError
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.templating import is_htmx, toast
from app.sentences import N_

router = Router(include_in_schema=False)


@router.post("/conversations/{conversation_id}/review", response_model=None)
@needs(Permission.CONVERSATION_HAND_IN)
def review(
    view: View,
    actor: CurrentActor,
    version: Version,
    state: Annotated[ReviewState, Form()],
    reason: Annotated[str, Form(max_length=2000, title=N_("Reason"))] = "",
) -> Response:
    """Hand in, discard, approve, send back with a reason, reopen. Without the permission to review one may do the first two
    and take them back."""
    waited = view.load().review_state in reviews.WAITING
    try:
        changed = reviews.review(view.session, view.conversation_id, version, actor, state, reason)
    except Conflict as error:
        return view.conflict(error, kind="action")
    except StudioError as error:
        return view.refused(error)
    said = {
        ReviewState.HANDED_IN: gettext("Handed in for review."),
        ReviewState.APPROVED: gettext("Conversation approved."),
        ReviewState.REJECTED: gettext("Conversation sent back."),
        ReviewState.DISCARDED: gettext("Conversation discarded."),
        ReviewState.DRAFT: gettext("It is a draft again."),
    }
    # What somebody had decided on before does not become that again by being undone.
    undoable = waited and state is not ReviewState.DRAFT
    undo = f"/conversations/{view.conversation_id}/review/undo/{changed.version}" if undoable else None
    return view.changed(headers=toast(said[state], undo_url=undo))


@router.post("/conversations/{conversation_id}/review/undo/{version}", response_model=None)
@needs(Permission.CONVERSATION_HAND_IN)
def undo_review(view: View, actor: CurrentActor, version: int) -> Response:
    """Take back what was decided a moment ago, also from the next page. Refused once it has changed."""
    found = reviews.undo(view.session, view.conversation_id, version, actor)
    handed_in = found.review_state is ReviewState.HANDED_IN
    told = toast(gettext("It waits for review again.") if handed_in else gettext("It is a draft again."))
    shown = urlsplit(view.request.headers.get("HX-Current-URL", "")).path
    if is_htmx(view.request) and shown != f"/conversations/{view.conversation_id}":
        return Response(status_code=204, headers=told)
    return view.changed(headers=told)


@router.post("/conversations/{conversation_id}/assign", response_model=None)
@needs(Permission.CONVERSATION_ASSIGN)
def assign(view: View, actor: CurrentActor, user_id: Annotated[int | Literal[""], Form()] = "") -> Response:
    """Give it to somebody, or to nobody."""
    people = [] if user_id == "" else [user_id]
    dataset_id = view.load().dataset_id
    assigning.assign(view.session, dataset_id, [view.conversation_id], people, actor)
    return view.changed()
