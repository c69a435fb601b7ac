"""The page of one conversation: read it, edit turn by turn, label it, review it.

Every change carries the version the person saw. A stale one is answered with both texts, never with a lost one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from fastapi import Depends, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlmodel import Session

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.accounts.service import Actor
from app.conversations import assigning, conflicts, merging, revisions, service, turns
from app.conversations import review as reviews
from app.conversations.assigning import names_of, workers
from app.conversations.comments import comments_of
from app.conversations.comparing import compare
from app.conversations.filter_params import Filter, FilterParams
from app.conversations.labels import label_words, stored_label, typed_tags
from app.conversations.listing import Listing
from app.conversations.models import Conversation, ReviewState
from app.conversations.tool_editing import typed_tools
from app.core.errors import Conflict, Invalid, StudioError
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.templating import is_htmx, render, toast
from app.core.web import Db
from app.datasets.archives import is_archived
from app.dialogue.conversation import Message
from app.dialogue.labels import LABELS
from app.sentences import N_

router = Router(include_in_schema=False)
_TYPED_LABELS: Final = ("stage", "objection", "product", "language")
# The order in which one key walks through a turn's flags.
_TRAIN_FLAGS: Final = {"follow": None, "always": True, "never": False}


@dataclass(frozen=True)
class Desk:
    """What every route here works with: the transaction, the person, the conversation, the way back."""

    request: Request
    session: Session
    actor: Actor
    conversation_id: int
    params: FilterParams

    def load(self) -> Conversation:
        """The conversation as it is stored now."""
        return service.require_conversation(self.session, self.conversation_id)

    def page(self, **more: Any) -> dict[str, Any]:
        """Context of the page and of its fragments."""
        conversation = self.load()
        where = self.params.within(conversation.dataset_id)
        read_only = is_archived(self.session, conversation.dataset_id)
        can_review = not read_only and self.actor.may(Permission.CONVERSATION_REVIEW)
        whose = conversation.assigned_to_user_id
        return {
            "conversation": conversation,
            "base": f"/conversations/{conversation.id}",
            "way": where.query_string(),
            "where": where,
            "words": label_words(),
            "lengths": LABELS,
            "history": revisions.history(self.session, self.conversation_id),
            "comments": comments_of(self.session, conversation),
            "workers": workers(self.session) if can_review else [],
            "assigned_to": names_of(self.session, [whose]).get(whose, "") if whose else "",
            "last_reasons": revisions.last_reasons(self.session, self.actor.user_id) if can_review else [],
            "read_only": read_only,
            "can_review": can_review,
            "oob": False,
            "parts": (),
            "focus": None,
            "error": None,
            **more,
        }


def _desk(request: Request, session: Db, actor: CurrentActor, conversation_id: int, params: Filter) -> Desk:
    return Desk(request, session, actor, conversation_id, params)


Place = Annotated[Desk, Depends(_desk)]
Version = Annotated[int, Form(ge=1)]


@router.get("/conversations/{conversation_id}")
@needs(Permission.CONVERSATION_READ)
def conversation_page(desk: Place) -> HTMLResponse:
    """The dialogue as it reads, with everything one may do to it."""
    return _page(desk)


def _page(desk: Desk, *, status: int = 200, **more: Any) -> HTMLResponse:
    context = desk.page(**more)
    context["place"] = Listing(desk.session, context["where"]).place_of(context["conversation"])
    return render(desk.request, "conversations/page.html", context, status=status)


def done(
    desk: Desk, *parts: str, focus: int | None = None, headers: dict[str, str] | None = None
) -> Response:
    """What changed, as fragments for htmx; without it, the page again."""
    if not is_htmx(desk.request):
        way = desk.params.within(desk.load().dataset_id).query_string()
        anchor = f"#turn-{focus + 1}" if focus is not None else ""
        return RedirectResponse(f"/conversations/{desk.conversation_id}{way}{anchor}", status_code=303)
    context = desk.page(oob=True, parts=parts, focus=focus)
    response = render(desk.request, "conversations/_changed.html", context)
    response.headers.update(headers or {})
    return response


def _stale(desk: Desk, error: Conflict, **mine: Any) -> HTMLResponse:
    """Both texts side by side. Nothing of the refused change stays."""
    desk.session.rollback()
    context = desk.page(message=error.translated(), **mine)
    if not is_htmx(desk.request):
        return render(desk.request, "conversations/conflict.html", context, status=409)
    response = render(desk.request, "conversations/_conflict.html", context, status=409)
    response.headers.update({"HX-Retarget": "#conflict", "HX-Reswap": "innerHTML"})
    return response


def refused(desk: Desk, error: StudioError) -> Response:
    """htmx shows the sentence; a plain form gets the page back with the sentence on top."""
    if is_htmx(desk.request):
        raise error
    desk.session.rollback()
    return _page(desk, status=error.status, error=error.translated())


@router.post("/conversations/{conversation_id}/turns/{turn}", response_model=None)
@needs(Permission.CONVERSATION_EDIT)
def save_text(
    desk: Place,
    actor: CurrentActor,
    turn: int,
    version: Version,
    content: Annotated[str, Form()] = "",
    began_with: Annotated[str | None, Form()] = None,
    settles_conflict: Annotated[bool, Form()] = False,
) -> Response:
    """Save one turn's text; called a moment after each typing. `began_with` is the text as it was stored before that.

    A person who settles a conflict has an old page, so the answer brings all of it anew; so does one to somebody who
    wrote while others changed other turns, but for the turn that is being written in.
    """
    content = content.replace("\r\n", "\n")
    try:
        edited = merging.edit_turn(
            desk.session,
            desk.conversation_id,
            version,
            actor,
            "edit",
            turn,
            lambda messages, now: turns.update_message(messages, now, content=content),
            began_with=began_with,
            typing=True,
        )
    except Conflict as error:
        theirs = conflicts.text_now(desk.session, desk.load(), version, turn)
        if theirs.text == content:  # an answer that was lost on its way: it is saved
            return done(desk, "turns", focus=theirs.turn)
        return _stale(desk, error, kind="text", turn=turn, mine=content, theirs=theirs)
    except StudioError as error:
        return refused(desk, error)
    if settles_conflict:
        return done(desk, "turns", "labels", focus=edited.turn)
    if not edited.is_merged:
        return done(desk, focus=edited.turn)
    parts = ("other_turns" if edited.same_places else "turns", "labels", "typing")
    return done(desk, *parts, focus=edited.turn, headers=_told_of_others())


@router.post("/conversations/{conversation_id}/turns/{turn}/change", response_model=None)
@needs(Permission.CONVERSATION_EDIT)
def change_turn(
    desk: Place, actor: CurrentActor, turn: int, version: Version, action: Annotated[str, Form(max_length=40)]
) -> Response:
    """Add below, delete, move, change the role or the train flag of one turn."""
    verb, _, value = action.partition(":")
    if verb not in _CHANGES:
        raise Invalid(N_("There is no action “%(name)s”."), name=action)
    edit, focus = _CHANGES[verb]
    try:
        edited = merging.edit_turn(
            desk.session,
            desk.conversation_id,
            version,
            actor,
            verb,
            turn,
            lambda messages, now: edit(messages, now, value),
        )
    except Conflict as error:
        return _stale(desk, error, kind="action")
    except StudioError as error:
        return refused(desk, error)
    conversation = edited.conversation
    headers = _told_of_others() if edited.is_merged else None
    if verb == "delete":
        undo = f"/conversations/{desk.conversation_id}/restore/{conversation.version - 1}"
        headers = toast(gettext("Turn %(number)d deleted.") % {"number": edited.turn + 1}, undo_url=undo)
    last = len(conversation.messages) - 1
    more = ("labels",) if edited.is_merged else ()
    return done(desk, "turns", *more, focus=min(max(edited.turn + focus, 0), last), headers=headers)


def _told_of_others() -> dict[str, str]:
    return toast(gettext("Somebody else changed other parts meanwhile: you see them now."), kind="info")


def _set_role(messages: list[Message], turn: int, value: str) -> list[Message]:
    return turns.update_message(messages, turn, role=value)


def _set_train(messages: list[Message], turn: int, value: str) -> list[Message]:
    if value not in _TRAIN_FLAGS:
        raise Invalid(N_("There is no action “%(name)s”."), name=f"train:{value}")
    return turns.update_message(messages, turn, train=_TRAIN_FLAGS[value])


TurnEdit = Callable[[list[Message], int, str], list[Message]]
# verb: the change, and how far from the turn the focus goes afterwards
_CHANGES: Final[dict[str, tuple[TurnEdit, int]]] = {
    "add": (lambda messages, turn, _value: turns.add_message(messages, turn), 1),
    "delete": (lambda messages, turn, _value: turns.delete_message(messages, turn), 0),
    "up": (lambda messages, turn, _value: turns.move_message(messages, turn, -1), -1),
    "down": (lambda messages, turn, _value: turns.move_message(messages, turn, 1), 1),
    "role": (_set_role, 0),
    "train": (_set_train, 0),
}


@router.post("/conversations/{conversation_id}/labels", response_model=None)
@needs(Permission.CONVERSATION_EDIT)
def save_labels(
    desk: Place,
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
        _found, is_merged = merging.set_labels(desk.session, desk.conversation_id, version, actor, labels)
    except Conflict as error:
        mine = {"outcome": outcome, **typed, "tags": tags}
        return _stale(desk, error, kind="labels", mine=mine)
    except StudioError as error:
        return refused(desk, error)
    if is_merged:
        return done(desk, "turns", "labels", headers=_told_of_others())
    return done(desk, *(("turns", "labels") if settles_conflict else ()))


@router.post("/conversations/{conversation_id}/tools", response_model=None)
@needs(Permission.CONVERSATION_EDIT)
def save_tools(
    desk: Place, actor: CurrentActor, version: Version, tools: Annotated[str, Form()] = ""
) -> Response:
    """Replace the tools by those that the JSON spells; an empty text takes them away."""
    try:
        said = {"tools": typed_tools(tools)}
        service.say(desk.session, desk.conversation_id, version, actor, said, action="tools")
    except Conflict as error:
        return _stale(desk, error, kind="action")
    except StudioError as error:
        return refused(desk, error)
    return done(desk, "tools", headers=toast(gettext("Tools saved.")))


@router.post("/conversations/{conversation_id}/review", response_model=None)
@needs(Permission.CONVERSATION_HAND_IN)
def review(
    desk: Place,
    actor: CurrentActor,
    version: Version,
    state: Annotated[ReviewState, Form()],
    reason: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Hand in, discard, approve, send back with a reason, reopen. Without the permission to review one may do the first two
    and take them back."""
    waited = desk.load().review_state in reviews.WAITING
    try:
        changed = reviews.review(desk.session, desk.conversation_id, version, actor, state, reason)
    except Conflict as error:
        return _stale(desk, error, kind="action")
    except StudioError as error:
        return refused(desk, error)
    said = {
        ReviewState.HANDED_IN: gettext("Handed in for review."),
        ReviewState.APPROVED: gettext("Conversation approved."),
        ReviewState.REJECTED: gettext("Conversation sent back."),
        ReviewState.DISCARDED: gettext("Conversation discarded."),
        ReviewState.DRAFT: gettext("It is a draft again."),
    }
    # What somebody had decided on before does not become that again by being undone.
    undoable = waited and state is not ReviewState.DRAFT
    undo = f"/conversations/{desk.conversation_id}/review/undo/{changed.version}" if undoable else None
    return done(desk, headers=toast(said[state], undo_url=undo))


@router.post("/conversations/{conversation_id}/assign", response_model=None)
@needs(Permission.CONVERSATION_ASSIGN)
def assign(desk: Place, actor: CurrentActor, user_id: Annotated[int | Literal[""], Form()] = "") -> Response:
    """Give it to somebody, or to nobody."""
    people = [] if user_id == "" else [user_id]
    dataset_id = desk.load().dataset_id
    assigning.assign(desk.session, dataset_id, [desk.conversation_id], people, actor)
    return done(desk)


@router.post("/conversations/{conversation_id}/review/undo/{version}", response_model=None)
@needs(Permission.CONVERSATION_HAND_IN)
def undo_review(desk: Place, actor: CurrentActor, version: int) -> Response:
    """Take back what was decided a moment ago, also from the next page. Refused once it has changed."""
    found = reviews.undo(desk.session, desk.conversation_id, version, actor)
    handed_in = found.review_state is ReviewState.HANDED_IN
    told = toast(gettext("It waits for review again.") if handed_in else gettext("It is a draft again."))
    shown = urlsplit(desk.request.headers.get("HX-Current-URL", "")).path
    if is_htmx(desk.request) and shown != f"/conversations/{desk.conversation_id}":
        return Response(status_code=204, headers=told)
    return done(desk, headers=told)


@router.get("/conversations/{conversation_id}/history/{wanted}")
@needs(Permission.CONVERSATION_READ)
def revision_page(desk: Place, wanted: int) -> HTMLResponse:
    """What one change changed, and what going back to it would; htmx asks for that alone."""
    conversation = desk.load()
    found = revisions.require_revision(desk.session, desk.conversation_id, wanted)
    before = revisions.revision_before(desk.session, desk.conversation_id, wanted)
    now = revisions.snapshot_of(conversation)
    shown = {
        "revision": found,
        "changed": compare(before.snapshot, found.snapshot) if before else None,
        "restoring": compare(now, found.snapshot) if wanted != conversation.version else None,
    }
    if is_htmx(desk.request):
        return render(desk.request, "conversations/_revision.html", {**shown, "words": label_words()})
    return render(desk.request, "conversations/revision.html", desk.page(**shown))


@router.post("/conversations/{conversation_id}/restore/{wanted}", response_model=None)
@needs(Permission.CONVERSATION_EDIT)
def restore(desk: Place, actor: CurrentActor, wanted: int, version: Version) -> Response:
    """Go back to an older version; what is there now stays in the history."""
    try:
        service.restore(desk.session, desk.conversation_id, version, actor, wanted)
    except Conflict as error:
        return _stale(desk, error, kind="action")
    except StudioError as error:
        return refused(desk, error)
    return done(desk, "turns", "labels", headers=toast(gettext("Restored.")))


@router.post("/conversations/{conversation_id}/delete", response_model=None)
@needs(Permission.CONVERSATION_DELETE)
def delete(desk: Place, actor: CurrentActor) -> Response:
    """Erase the conversation, and go on with the next of the list."""
    conversation = desk.load()
    where = desk.params.within(conversation.dataset_id)
    after = Listing(desk.session, where).place_of(conversation).next_id
    service.delete_conversation(desk.session, desk.conversation_id, actor)
    path = f"/conversations/{after}" if after else f"/datasets/{conversation.dataset_id}"
    return RedirectResponse(path + where.query_string(), status_code=303)
