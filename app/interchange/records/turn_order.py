"""What is unusual about the turns of a conversation that was taken in: who speaks, in which order, and dialogues that hide in
the words of one turn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from app.dialogue.conversation import Message
from app.dialogue.roles import Role
from app.interchange.records.message_reading import Reading
from app.interchange.sentences import records as say
from app.interchange.sentences.problems import shown

_SPEAKERS: Final = (
    "Human|User|Customer|Client|Buyer|Assistant|AI|Bot|Chatbot|Agent|Seller|Sales|GPT|ChatGPT|"
    "用户|客户|顾客|买家|助手|客服|销售|卖家|顾问"
)
_SPEAKS: Final = re.compile(
    rf"(?:^|\n|\\n)\s*(?:#{{1,4}}\s*|\*\*)?({_SPEAKERS})(?:\*\*)?\s*[:：]", re.IGNORECASE
)
_ON_ONE_LINE: Final = re.compile(r"\b(Human|User|Customer|Assistant|AI|Bot)\s?: ")
_SPOKEN: Final = (Role.USER, Role.ASSISTANT)


def note_turns(messages: Sequence[Message], lines: Sequence[int] | None, reading: Reading) -> None:
    """Notes about the order of the turns, and about words that are a dialogue themselves. `lines` where each message
    has a line of its own."""
    spoken = [(number, message) for number, message in enumerate(messages, 1) if message["role"] in _SPOKEN]
    if spoken and spoken[0][1]["role"] == Role.ASSISTANT and len(spoken) > 1:
        reading.note(say.BEGINS_WITH_ASSISTANT)
    before: Message | None = None
    for number, message in enumerate(messages, 1):
        if before is not None and before["role"] == message["role"] in _SPOKEN and "tool_calls" not in before:
            line = lines[number - 1] if lines and len(lines) == len(messages) else reading.line
            reading.note(say.SAME_SIDE_TWICE, line=line, message=number, role=message["role"])
            break
        before = message
    for number, message in enumerate(messages, 1):
        if _is_dialogue(message["content"]):
            reading.note(say.DIALOGUE_IN_TEXT, message=number)
            break


def note_roles(roles: Mapping[str, str], reading: Reading) -> None:
    """Names of roles that were read as one of ours: once for each in a file, on the line where it first stands."""
    for name, role in roles.items():
        reading.note(say.ROLE_READ_AS, name=shown(name), role=role)


def _is_dialogue(text: str) -> bool:
    if ":" not in text and "：" not in text:
        return False
    found = [name.lower() for name in _SPEAKS.findall(text)] or [
        name.lower() for name in _ON_ONE_LINE.findall(text)
    ]
    return len(found) > 1 and len(set(found)) > 1
