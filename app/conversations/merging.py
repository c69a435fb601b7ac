"""Changes from a page that is older than what is stored: taken where nobody changed the same place meanwhile.

What was the same is told by what the person saw: the text they began with, or the revision of that version.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from app.accounts.service import Actor
from app.conversations import revisions, service
from app.conversations.content import label_columns, reading
from app.conversations.models import Conversation
from app.conversations.turns import locate_turn
from app.dialogue.conversation import Labels, Message
from app.dialogue.labels import read_labels

TurnEdit = Callable[[list[Message], int], list[Message]]


@dataclass(frozen=True)
class Edited:
    """A turn that was changed, and where it stands now."""

    conversation: Conversation
    turn: int
    # Somebody else had changed other places since this person saw it; and whether as many turns stand as they saw.
    is_merged: bool = False
    same_places: bool = True


@dataclass(frozen=True)
class _Place:
    turn: int
    same_places: bool


def edit_turn(
    session: Session,
    conversation_id: int,
    seen_version: int,
    actor: Actor,
    verb: str,
    turn: int,
    edit: TurnEdit,
    *,
    began_with: str | None = None,
    typing: bool = False,
) -> Edited:
    """Change the turn that stood at `turn` in the version the person saw.

    `began_with` is the text that the person saw there. Raises Conflict where somebody else changed this very turn, or
    where it cannot be told; otherwise as `service.edit_messages`.
    """
    found = service.lock(session, conversation_id)
    place: _Place | None = _Place(turn, same_places=True)
    is_merged = found.version != seen_version
    if is_merged or _says_otherwise(found, turn, began_with):
        place = _untouched(session, found, seen_version, turn, began_with)
    if place is None:
        raise service.faster(found)
    now = place.turn
    conversation = service.edit_messages(
        session,
        conversation_id,
        found.version,
        actor,
        f"{verb}:{now + 1}",
        lambda messages: edit(messages, now),
        typing=typing,
    )
    return Edited(conversation, now, is_merged, place.same_places)


def _says_otherwise(found: Conversation, turn: int, began_with: str | None) -> bool:
    return (
        began_with is not None
        and 0 <= turn < len(found.messages)
        and _as_typed(found.messages[turn]["content"]) != _as_typed(began_with)
    )


def _as_typed(text: str) -> str:
    """As fields of pages hold it: with one kind of line break."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _untouched(
    session: Session, found: Conversation, seen_version: int, turn: int, began_with: str | None
) -> _Place | None:
    """Where the turn stands now, None where somebody changed it."""
    assert found.id is not None
    seen = revisions.get_revision_from(session, found.id, seen_version)
    if seen is None:
        return None
    before: list[Message] = seen.snapshot["messages"]
    place = locate_turn(before, found.messages, turn)
    if place is None:
        return None
    was, now = before[turn], found.messages[place]
    if began_with is not None:
        was = {**was, "content": _as_typed(began_with)}
        now = {**now, "content": _as_typed(now["content"])}
    elif seen.version != seen_version and seen.action == f"edit:{turn + 1}":
        return None  # typing that went on shares a revision: what this turn said then is not kept
    return _Place(place, place == turn and len(before) == len(found.messages)) if was == now else None


def set_labels(
    session: Session, conversation_id: int, seen_version: int, actor: Actor, labels: Mapping[str, Any]
) -> tuple[Conversation, bool]:
    """Set the labels that the person changed since the version they saw; and whether somebody else had changed other
    things since. Raises Conflict where one of these became something else meanwhile; otherwise as `service.set_labels`.
    """
    found = service.lock(session, conversation_id)
    wanted: Labels = reading(lambda: read_labels(labels))
    is_merged = found.version != seen_version
    if is_merged:
        assert found.id is not None
        seen = revisions.get_revision_from(session, found.id, seen_version)
        if seen is None:
            raise service.faster(found)
        mine = {
            name: value for name, value in label_columns(wanted).items() if value != seen.snapshot.get(name)
        }
        if any(getattr(found, name) not in (seen.snapshot.get(name), value) for name, value in mine.items()):
            raise service.faster(found)
        wanted = reading(lambda: read_labels(mine))
    return service.set_labels(session, conversation_id, found.version, actor, dict(wanted)), is_merged
