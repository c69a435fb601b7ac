"""The one shape a conversation has in this project, its one spelling as JSON, and the hash that tells
duplicates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

MESSAGE_FIELDS = ("role", "content", "name", "reasoning_content", "tool_calls", "tool_call_id", "train")
LABEL_FIELDS = ("outcome", "stage", "objection", "tags", "language", "source", "product")
_NOT_HASHED = ("train",)


def canonical_message(message: Mapping[str, Any]) -> dict[str, Any]:
    """The known fields in their fixed order; absent ones and None are left out (`content` becomes "")."""
    result: dict[str, Any] = {}
    for key in MESSAGE_FIELDS:
        value = message.get(key)
        if value is not None:
            result[key] = value
        elif key == "content":
            result[key] = ""
    if not result.get("tool_calls", True):
        del result["tool_calls"]
    return result


def canonical_conversation(conversation: Mapping[str, Any]) -> dict[str, Any]:
    """All label fields, None where unknown, so that every exported line has the same columns."""
    result: dict[str, Any] = {"messages": [canonical_message(m) for m in conversation["messages"]]}
    for key in LABEL_FIELDS:
        value = conversation.get(key)
        if key == "tags":
            result[key] = [tag for tag in value or () if tag.strip()]
        else:
            result[key] = value if isinstance(value, str) and value.strip() else None
    return result


def canonical_json(value: Any) -> str:
    """Compact, in the order given, characters as they are. Raises ValueError for NaN and infinities."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def content_hash(conversation: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of what is said: two conversations with the same messages are duplicates, whatever
    their labels and train flags."""
    messages = [
        {key: value for key, value in canonical_message(message).items() if key not in _NOT_HASHED}
        for message in conversation["messages"]
    ]
    text = json.dumps(messages, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()
