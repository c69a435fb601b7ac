"""A conversation handed in by REST that may be a corrected one: the same is asked in another, and answered otherwise."""

from collections.abc import Mapping
from typing import Any, Literal

from sqlmodel import Session

from app.accounts.service import Actor
from app.conversations.content import read_dialogue
from app.conversations.drafts import create_conversation
from app.conversations.duplicates import find_same_questions, refuse_duplicate
from app.conversations.models import Conversation
from app.conversations.service import require_conversation, say
from app.core.errors import Conflict
from app.sentences import N_

OneCorrection = Literal["keep", "replace", "refuse"]


def create_or_correct(
    session: Session, dataset_id: int, data: Mapping[str, Any], actor: Actor, choice: OneCorrection
) -> tuple[Conversation, int | None]:
    """The conversation that holds it now, and the one in which the same was asked. Raises as create_conversation, and
    Conflict for a corrected one that is to be refused."""
    dialogue = read_dialogue(data)
    old = find_same_questions(session, dataset_id, dialogue)
    if old is None or choice == "keep":
        return create_conversation(session, dataset_id, data, actor), old
    refuse_duplicate(session, dataset_id, dialogue)
    if choice == "refuse":
        raise Conflict(
            N_(
                "Conversation %(id)d of this dataset asks the same and answers otherwise. Send same_questions=replace or "
                "keep, or leave this one out."
            ),
            code="same_questions",
            field="messages",
            id=old,
        )
    said = {"messages": dialogue["messages"], "tools": dialogue.get("tools")}
    return say(session, old, require_conversation(session, old).version, actor, said), old
