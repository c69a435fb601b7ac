"""What somebody else made of a turn while a person was typing in it."""

from dataclasses import dataclass

from sqlmodel import Session

from app.conversations import revisions
from app.conversations.models import Conversation
from app.conversations.turns import locate_turn
from app.dialogue.differences import Pieces, differences


@dataclass(frozen=True)
class Theirs:
    """The turn as it is stored now; `turn` is None when it is gone or cannot be told from others."""

    turn: int | None
    text: str | None

    def pieces_beside(self, mine: str) -> Pieces:
        """The text in pieces, those marked that the other text does not say."""
        return differences(mine, self.text or "")[1]


def text_now(session: Session, conversation: Conversation, seen_version: int, turn: int) -> Theirs:
    """Find the turn that stood at `turn` in the version the person saw."""
    assert conversation.id is not None
    seen = revisions.get_revision_from(session, conversation.id, seen_version)
    found = locate_turn(seen.snapshot["messages"], conversation.messages, turn) if seen else None
    return Theirs(found, conversation.messages[found]["content"] if found is not None else None)
