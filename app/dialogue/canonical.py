"""The one shape a conversation has in this project: fields in their fixed order, absent ones left out.

For what is known to be a conversation; whatever comes from outside is checked by `reading.read_conversation`,
whose answer is in this form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from app.dialogue.conversation import MESSAGE_FIELDS, Conversation, Message
from app.dialogue.labels import LABELS


def canonical_message(message: Mapping[str, Any]) -> Message:
    """The known fields in their fixed order; absent ones and None are left out (`content` becomes "")."""
    if len(message) == 2 and type(message.get("content")) is str and "role" in message:
        return {"role": message["role"], "content": message["content"]}
    result: dict[str, Any] = {}
    for key in MESSAGE_FIELDS:
        value = message.get(key)
        if value is not None:
            result[key] = value
        elif key == "content":
            result[key] = ""
    if result.get("tool_calls") == []:
        del result["tool_calls"]
    return cast(Message, result)


def canonical_conversation(conversation: Mapping[str, Any]) -> Conversation:
    """Messages, tools where there are any, and all labels, None where unknown: exported lines have the same
    columns."""
    result: dict[str, Any] = {"messages": [canonical_message(one) for one in conversation["messages"]]}
    if conversation.get("tools"):
        result["tools"] = list(conversation["tools"])
    for name in LABELS:
        value = conversation.get(name)
        if name == "tags":
            result[name] = sorted({tag.strip() for tag in value or () if tag.strip()})
        else:
            result[name] = value.strip() if isinstance(value, str) and value.strip() else None
    return cast(Conversation, result)
