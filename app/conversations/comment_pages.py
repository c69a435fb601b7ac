"""Comments on the page of a conversation: made, settled, taken away. Each answer is the comments anew."""

from typing import Annotated, Literal

from fastapi import Form, Response

from app.accounts.access import CurrentActor, needs
from app.accounts.permissions import Permission
from app.conversations import comments
from app.conversations.view import View
from app.core.errors import StudioError
from app.core.routing import Router

router = Router(include_in_schema=False)
_PATH = "/conversations/{conversation_id}/comments"


@router.post(_PATH, response_model=None)
@needs(Permission.CONVERSATION_COMMENT)
def add(
    view: View,
    actor: CurrentActor,
    text: Annotated[str, Form()] = "",
    turn: Annotated[int | Literal[""], Form()] = "",
) -> Response:
    """Say something about a turn, or about the whole conversation."""
    text = text.replace("\r\n", "\n")
    try:
        comments.add_comment(view.session, view.conversation_id, actor, text, None if turn == "" else turn)
    except StudioError as error:
        return view.refused(error)
    return view.changed("comments")


@router.post(_PATH + "/{comment_id}/settle", response_model=None)
@needs(Permission.CONVERSATION_COMMENT)
def settle(view: View, actor: CurrentActor, comment_id: int, is_settled: Annotated[bool, Form()]) -> Response:
    """Say that it is done, or that it is not."""
    comments.settle(view.session, view.conversation_id, comment_id, actor, is_settled=is_settled)
    return view.changed("comments")


@router.post(_PATH + "/{comment_id}/delete", response_model=None)
@needs(Permission.CONVERSATION_COMMENT)
def delete(view: View, actor: CurrentActor, comment_id: int) -> Response:
    """Take a comment away."""
    comments.delete_comment(view.session, view.conversation_id, comment_id, actor)
    return view.changed("comments")
