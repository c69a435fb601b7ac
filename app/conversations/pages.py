"""The page of one conversation: read it, label it, say what tools it has, erase it."""

from typing import Annotated, Any, Final

from fastapi import Form, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.conversations import merging, service
from app.conversations.labels import stored_label, typed_tags
from app.conversations.listing import Listing
from app.conversations.tool_editing import typed_tools
from app.conversations.view import Version, View, told_of_others
from app.core.errors import Conflict, StudioError
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.templating import toast

router = Router(include_in_schema=False)
_TYPED_LABELS: Final = ("stage", "objection", "product", "language")


@router.get("/conversations/{conversation_id}")
@needs(Permission.CONVERSATION_READ)
def conversation_page(view: View) -> HTMLResponse:
    """The dialogue as it reads, with everything one may do to it."""
    return view.page()


@router.post("/conversations/{conversation_id}/labels", response_model=None)
@needs(Permission.CONVERSATION_EDIT)
def save_labels(
    view: View,
    actor: CurrentActor,
    version: Version,
    outcome: Annotated[str, Form()] = "",
    stage: Annotated[str, Form()] = "",
    objection: Annotated[str, Form()] = "",
    product: Annotated[str, Form()] = "",
    language: Annotated[str, Form()] = "",
    tags: Annotated[str, Form()] = "",
    settles_conflict: Annotated[bool, Form()] = False,
) -> Response:
    """Save all labels of the panel."""
    typed = {"stage": stage, "objection": objection, "product": product, "language": language}
    labels: dict[str, Any] = {name: stored_label(name, typed[name]) for name in _TYPED_LABELS}
    labels |= {"outcome": outcome, "tags": typed_tags(tags)}
    try:
        _found, is_merged = merging.set_labels(view.session, view.conversation_id, version, actor, labels)
    except Conflict as error:
        mine = {"outcome": outcome, **typed, "tags": tags}
        return view.conflict(error, kind="labels", mine=mine)
    except StudioError as error:
        return view.refused(error)
    if is_merged:
        return view.changed("turns", "labels", headers=told_of_others())
    return view.changed(*(("turns", "labels") if settles_conflict else ()))


@router.post("/conversations/{conversation_id}/tools", response_model=None)
@needs(Permission.CONVERSATION_EDIT)
def save_tools(
    view: View, actor: CurrentActor, version: Version, tools: Annotated[str, Form()] = ""
) -> Response:
    """Replace the tools by those that the JSON spells; an empty text takes them away."""
    try:
        said = {"tools": typed_tools(tools)}
        service.say(view.session, view.conversation_id, version, actor, said, action="tools")
    except Conflict as error:
        return view.conflict(error, kind="action")
    except StudioError as error:
        return view.refused(error)
    return view.changed("tools", headers=toast(gettext("Tools saved.")))


@router.post("/conversations/{conversation_id}/delete", response_model=None)
@needs(Permission.CONVERSATION_DELETE)
def delete(view: View, actor: CurrentActor) -> Response:
    """Erase the conversation, and go on with the next of the list."""
    conversation = view.load()
    where = view.params.within(conversation.dataset_id)
    after = Listing(view.session, where).place_of(conversation).next_id
    service.delete_conversation(view.session, view.conversation_id, actor)
    path = f"/conversations/{after}" if after else f"/datasets/{conversation.dataset_id}"
    return RedirectResponse(path + where.query_string(), status_code=303)
