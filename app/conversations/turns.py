"""Changes to a list of messages, turn by turn. Pure functions; turns count from 0."""

from difflib import SequenceMatcher

from app.conversations.content import reading
from app.core.errors import Invalid
from app.dialogue.conversation import Message
from app.dialogue.reading import read_message
from app.dialogue.roles import Role
from app.sentences import N_


def require_turn(messages: list[Message], turn: int) -> Message:
    """The message at this position. Raises Invalid when there is none."""
    if not 0 <= turn < len(messages):
        raise Invalid(N_("There is no turn %(turn)d."), turn=turn + 1)
    return messages[turn]


def update_message(messages: list[Message], turn: int, **fields: object) -> list[Message]:
    """Set fields of one turn; None removes a field."""
    message = {**require_turn(messages, turn), **fields}
    messages[turn] = reading(lambda: read_message(message, turn))
    return messages


def add_message(messages: list[Message], after: int, role: Role | None = None) -> list[Message]:
    """A new empty turn after position `after` (-1 puts it first); the role alternates unless given."""
    if not -1 <= after < len(messages):
        raise Invalid(N_("There is no turn %(turn)d."), turn=after + 1)
    if role is None:
        previous = messages[after]["role"] if after >= 0 else None
        role = Role.ASSISTANT if previous == Role.USER else Role.USER
    messages.insert(after + 1, {"role": role.value, "content": ""})
    return messages


def delete_message(messages: list[Message], turn: int) -> list[Message]:
    """Without one turn."""
    require_turn(messages, turn)
    del messages[turn]
    return messages


def move_message(messages: list[Message], turn: int, by: int) -> list[Message]:
    """One turn moved up (-1) or down (+1); at the edge it stays."""
    message = require_turn(messages, turn)
    target = min(max(turn + by, 0), len(messages) - 1)
    del messages[turn]
    messages.insert(target, message)
    return messages


def locate_turn(before: list[Message], now: list[Message], turn: int) -> int | None:
    """Where the turn that stood at `turn` stands now, or None when that cannot be told.

    With as many turns and the same roles as before, turns keep their places. Otherwise only a turn that
    nobody changed is found again.
    """
    if not 0 <= turn < len(before):
        return None
    if [message["role"] for message in before] == [message["role"] for message in now]:
        return turn
    was, are = ([(str(m["role"]), str(m["content"])) for m in side] for side in (before, now))
    for start, moved_to, size in SequenceMatcher(None, was, are, autojunk=False).get_matching_blocks():
        if start <= turn < start + size:
            return moved_to + turn - start
    return None
