"""Editing on the page of a conversation, turn by turn."""

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Form, Response

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.conversations import conflicts, merging, turns
from app.conversations.view import Version, View, told_of_others
from app.core.errors import Conflict, Invalid, StudioError
from app.core.i18n import gettext
from app.core.routing import Router
from app.core.templating import toast
from app.dialogue.conversation import Message
from app.sentences import N_

router = Router(include_in_schema=False)
# The order in which one key walks through a turn's flags.
_TRAIN_FLAGS: Final = {"follow": None, "always": True, "never": False}


@router.post("/conversations/{conversation_id}/turns/{turn}", response_model=None)
@needs(Permission.CONVERSATION_EDIT)
def save_text(
    view: View,
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
            view.session,
            view.conversation_id,
            version,
            actor,
            "edit",
            turn,
            lambda messages, now: turns.update_message(messages, now, content=content),
            began_with=began_with,
            typing=True,
        )
    except Conflict as error:
        theirs = conflicts.text_now(view.session, view.load(), version, turn)
        if theirs.text == content:  # an answer that was lost on its way: it is saved
            return view.changed("turns", focus=theirs.turn)
        return view.conflict(error, kind="text", turn=turn, mine=content, theirs=theirs)
    except StudioError as error:
        return view.refused(error)
    if settles_conflict:
        return view.changed("turns", "labels", focus=edited.turn)
    if not edited.is_merged:
        return view.changed(focus=edited.turn)
    parts = ("other_turns" if edited.same_places else "turns", "labels", "typing")
    return view.changed(*parts, focus=edited.turn, headers=told_of_others())


@router.post("/conversations/{conversation_id}/turns/{turn}/change", response_model=None)
@needs(Permission.CONVERSATION_EDIT)
def change_turn(
    view: View, actor: CurrentActor, turn: int, version: Version, action: Annotated[str, Form(max_length=40)]
) -> Response:
    """Add below, delete, move, change the role or the train flag of one turn."""
    verb, _, value = action.partition(":")
    if verb not in _CHANGES:
        raise Invalid(N_("There is no action “%(name)s”."), name=action)
    edit, focus = _CHANGES[verb]
    try:
        edited = merging.edit_turn(
            view.session,
            view.conversation_id,
            version,
            actor,
            verb,
            turn,
            lambda messages, now: edit(messages, now, value),
        )
    except Conflict as error:
        return view.conflict(error, kind="action")
    except StudioError as error:
        return view.refused(error)
    conversation = edited.conversation
    headers = told_of_others() if edited.is_merged else None
    if verb == "delete":
        undo = f"/conversations/{view.conversation_id}/restore/{conversation.version - 1}"
        headers = toast(gettext("Turn %(number)d deleted.") % {"number": edited.turn + 1}, undo_url=undo)
    last = len(conversation.messages) - 1
    more = ("labels",) if edited.is_merged else ()
    return view.changed("turns", *more, focus=min(max(edited.turn + focus, 0), last), headers=headers)


def _set_role(messages: list[Message], turn: int, value: str) -> list[Message]:
    return turns.update_message(messages, turn, role=value)


def _set_train(messages: list[Message], turn: int, value: str) -> list[Message]:
    if value not in _TRAIN_FLAGS:
        raise Invalid(N_("There is no action “%(name)s”."), name=f"train:{value}")
    return turns.update_message(messages, turn, train=_TRAIN_FLAGS[value])


TurnEdit = Callable[[list[Message], int, str], list[Message]]

_CHANGES: Final[dict[str, tuple[TurnEdit, int]]] = {
    "add": (lambda messages, turn, _value: turns.add_message(messages, turn), 1),
    "delete": (lambda messages, turn, _value: turns.delete_message(messages, turn), 0),
    "up": (lambda messages, turn, _value: turns.move_message(messages, turn, -1), -1),
    "down": (lambda messages, turn, _value: turns.move_message(messages, turn, 1), 1),
    "role": (_set_role, 0),
    "train": (_set_train, 0),
}
