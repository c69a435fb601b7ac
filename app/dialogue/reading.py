"""The one reader of conversations: files, REST, pages and commands all come through here.

What it lets through every export can write, both databases can store, and every chat template can be given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from app.dialogue import limits
from app.dialogue.canonical import canonical_conversation, canonical_message
from app.dialogue.conversation import MESSAGE_FIELDS, Conversation, Message, ToolDefinition
from app.dialogue.json_values import canonical_json, is_storable
from app.dialogue.labels import LABELS, read_labels
from app.dialogue.refusals import (
    BAD_TRAIN,
    CONTENT_NOT_TEXT,
    CONVERSATION_TOO_LARGE,
    FIELD_NOT_TEXT,
    LABEL_UNKNOWN,
    MESSAGE_FIELD_UNKNOWN,
    MESSAGE_NOT_OBJECT,
    MESSAGES_NOT_LIST,
    NO_MESSAGES,
    ROLE_UNKNOWN,
    TEXT_TOO_LONG,
    TOO_MANY_MESSAGES,
    TOOL_CALLS_ROLE,
    TURN_NOT_STORABLE,
    DialogueRefused,
    Refusal,
)
from app.dialogue.roles import ROLES, Role
from app.dialogue.tools import read_tool_calls, read_tools

_LINE_END: Final = re.compile("\r+\n")
_FIELDS: Final = frozenset(MESSAGE_FIELDS)
_ROLES: Final = frozenset(ROLES)
_PLAIN: Final = frozenset({"role", "content"})
_TEXTS: Final = {
    "content": limits.TEXT_CHARACTERS,
    "reasoning_content": limits.TEXT_CHARACTERS,
    "name": limits.NAME_CHARACTERS,
    "tool_call_id": limits.NAME_CHARACTERS,
}


def read_conversation(given: Mapping[str, Any]) -> Conversation:
    """The conversation in canonical form; unknown labels are None. Raises DialogueRefused naming turn or field."""
    unknown = next((name for name in given if name not in LABELS and name not in ("messages", "tools")), None)
    if unknown is not None:
        raise DialogueRefused(LABEL_UNKNOWN, str(unknown)[:40], name=str(unknown)[:40])
    messages = read_messages(given.get("messages"))
    tools = read_tools(given.get("tools"))
    refuse_too_large(messages, tools)
    labels = read_labels({name: given[name] for name in LABELS if given.get(name) is not None})
    return canonical_conversation({"messages": messages, "tools": tools, **labels})


def read_messages(given: Any) -> list[Message]:
    """The messages in canonical form. Raises DialogueRefused for none, too many, or naming the turn."""
    if not given:
        raise DialogueRefused(NO_MESSAGES, "messages")
    if not isinstance(given, list):
        raise DialogueRefused(MESSAGES_NOT_LIST, "messages")
    refuse_too_many(len(given))
    return [read_message(message, turn) for turn, message in enumerate(given)]


def refuse_too_many(messages: int) -> None:
    """Raises DialogueRefused for more messages than a conversation may have."""
    if messages > limits.MESSAGES:
        raise DialogueRefused(TOO_MANY_MESSAGES, "messages", limit=limits.MESSAGES)


def refuse_too_large(messages: list[Message], tools: list[ToolDefinition]) -> None:
    """Raises DialogueRefused for a conversation that is longer, as JSON, than one may be."""
    # A character is six bytes at most (\\u001f), so that most conversations need not be counted.
    roughly = sum(len(message["content"]) for message in messages) * 6
    plain = all(len(message) == 2 for message in messages) and not tools
    if plain and roughly + len(messages) * 64 <= limits.CONVERSATION_BYTES:
        return
    if len(canonical_json([messages, tools]).encode()) > limits.CONVERSATION_BYTES:
        size = limits.spoken_size(limits.CONVERSATION_BYTES)
        raise DialogueRefused(CONVERSATION_TOO_LARGE, "messages", limit=size)


def read_message(given: Any, turn: int) -> Message:
    """One message in canonical form; `turn` counts from 0. Line ends become line feeds, as browsers send others.

    Raises DialogueRefused.
    """
    if not isinstance(given, Mapping):
        _refuse(MESSAGE_NOT_OBJECT, turn)
    if not given.keys() <= _FIELDS:
        unknown = min(str(name) for name in given.keys() - _FIELDS)
        _refuse(MESSAGE_FIELD_UNKNOWN, turn, name=unknown[:40])
    role = given.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        _refuse(ROLE_UNKNOWN, turn, "role", role=str("" if role is None else role)[:40])
    message: dict[str, Any] = {"role": str(role), "content": _text(given, "content", turn) or ""}
    if given.keys() != _PLAIN:
        message |= {name: _text(given, name, turn) for name in _TEXTS if name != "content"}
        message["tool_calls"] = read_tool_calls(given.get("tool_calls"), turn)
        if message["tool_calls"] and role != Role.ASSISTANT:
            _refuse(TOOL_CALLS_ROLE, turn, "tool_calls")
        message["train"] = given.get("train")
        if not isinstance(message["train"], bool | None):
            _refuse(BAD_TRAIN, turn, "train")
    return canonical_message(message)


def _text(given: Mapping[str, Any], name: str, turn: int) -> str | None:
    text = given.get(name)
    if text is None:
        return None
    if name == "content" and isinstance(text, list):
        text = joined_parts(text)
    if not isinstance(text, str):
        if name == "content":
            _refuse(CONTENT_NOT_TEXT, turn, name)
        _refuse(FIELD_NOT_TEXT, turn, name, name=name)
    if "\r" in text:
        text = _LINE_END.sub("\n", text)
    if len(text) > _TEXTS[name]:
        _refuse(TEXT_TOO_LONG, turn, name, name=name, limit=_TEXTS[name])
    if not is_storable(text):
        _refuse(TURN_NOT_STORABLE, turn, name)
    return text


def joined_parts(parts: list[Any]) -> str | None:
    """The text of a content that is a list of text parts, one after the other as chat templates write them; None where
    any part is something else.
    """
    texts: list[Any] = [
        part.get("text") if isinstance(part, Mapping) and part.get("type", "text") == "text" else None
        for part in parts
    ]
    return "".join(texts) if all(isinstance(text, str) for text in texts) else None


def _refuse(refusal: Refusal, turn: int, place: str = "", **values: Any) -> NoReturn:
    field = f"messages.{turn}.{place}".rstrip(".")
    raise DialogueRefused(refusal, field, turn=turn + 1, **values)
