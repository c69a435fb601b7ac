"""A conversation as it comes in, made ready for a template: checked, with our own flags taken out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.dialogue.conversation import REASONING_FIELDS, TEMPLATE_REASONING_FIELDS
from app.dialogue.json_values import LONE_SURROGATE
from app.dialogue.roles import ROLES, Role
from app.masking.errors import MaskRefused
from app.sentences import N_
from app.unlocked import cached_property

_TEMPLATE_FIELDS = ("content", "name", "tool_calls", "tool_call_id")


@dataclass(frozen=True)
class Dialogue:
    """`messages` as a template sees them;
    `flags[i]` is the annotators' train flag of message i, None without one.
    """

    messages: list[dict[str, Any]]
    flags: list[bool | None]
    tools: list[Any] | None

    @cached_property
    def last_assistant(self) -> int:
        """The place of the last assistant turn, -1 without one."""
        places = range(len(self.messages) - 1, -1, -1)
        return next((place for place in places if self.messages[place]["role"] == Role.ASSISTANT), -1)


def read_conversation(conversation: Mapping[str, Any]) -> Dialogue:
    """Raises MaskRefused naming the turn that is not a message."""
    messages = conversation.get("messages")
    if not isinstance(messages, list) or not messages:
        raise MaskRefused(
            N_("The conversation has no messages; “messages” must be a list that is not empty.")
        )
    flags: list[bool | None] = []
    clean: list[dict[str, Any]] = []
    for number, message in enumerate(messages, start=1):
        if _is_plain(message):
            flags.append(None)
            clean.append(message)
            continue
        flag = message.get("train") if isinstance(message, Mapping) else None
        if flag is not None and not isinstance(flag, bool):
            raise MaskRefused(N_("The train flag of turn %(turn)d must be true or false."), turn=number)
        flags.append(flag)
        clean.append(_message(message, number))
    return Dialogue(clean, flags, _tools(conversation))


def _is_plain(message: Any) -> bool:
    """Whether it is just a role and a text, as nearly all messages are."""
    if type(message) is not dict or len(message) != 2 or message.get("role") not in ROLES:
        return False
    content = message.get("content")
    return type(content) is str and (content.isascii() or not LONE_SURROGATE.search(content))


def _tools(conversation: Mapping[str, Any]) -> list[Any] | None:
    tools = conversation.get("tools")
    if not tools:
        return None
    if not isinstance(tools, list):
        raise MaskRefused(N_("“tools” must be a list of tool descriptions."))
    return tools


def _message(message: Any, number: int) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        raise MaskRefused(N_("Turn %(turn)d is not an object with a role and a content."), turn=number)
    role = message.get("role")
    if role not in ROLES:
        raise MaskRefused(
            N_("Turn %(turn)d has the role “%(role)s”; it must be system, user, assistant or tool."),
            turn=number,
            role=role,
        )
    clean: dict[str, Any] = {"role": role}
    for key in _TEMPLATE_FIELDS:
        if message.get(key) is not None:
            clean[key] = message[key]
    if "content" in clean:
        clean["content"] = _text(clean["content"], number)
    elif not clean.get("tool_calls"):
        raise MaskRefused(N_("Turn %(turn)d has no content."), turn=number)
    reasoning = next((message[key] for key in REASONING_FIELDS if message.get(key) is not None), None)
    if reasoning is not None:
        if not isinstance(reasoning, str):
            raise MaskRefused(N_("The thinking of turn %(turn)d must be text."), turn=number)
        clean |= dict.fromkeys(TEMPLATE_REASONING_FIELDS, reasoning)
    return clean


def _text(content: Any, number: int) -> str:
    """The text of a content that may be a list of text parts."""
    if isinstance(content, str):
        text = content
    elif isinstance(content, Sequence) and all(
        isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)
        for part in content
    ):
        text = "".join(part["text"] for part in content)
    else:
        raise MaskRefused(
            N_("The content of turn %(turn)d must be text; images and other parts cannot be trained here."),
            turn=number,
        )
    if LONE_SURROGATE.search(text):
        raise MaskRefused(
            N_("The content of turn %(turn)d holds half a character (a lone surrogate)."), turn=number
        )
    return text
