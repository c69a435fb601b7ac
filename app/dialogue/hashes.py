"""The hashes of a conversation.

`words_hash` is of what is said: messages without their train flags, and the tools. Two conversations of a dataset
with the same words hash are duplicates, whatever their flags and labels: at every door there is room for one.
`content_hash` is of what an approval is about and what decides the split: the same with the flags.
`questions_hash` is of what is asked in it: a corrected record has that of its old one, and other words.
A conversation in which nothing is said yet (a new one, on its page) is nobody's duplicate.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from app.dialogue.conversation import Conversation, Message
from app.dialogue.roles import Role


def words_hash(conversation: Conversation) -> str:
    """SHA-256 (hex) of messages and tools without train flags; keys may stand in any order."""
    messages: list[Any] = [
        {key: value for key, value in message.items() if key != "train"} if "train" in message else message
        for message in conversation["messages"]
    ]
    return _hash(messages, conversation.get("tools"))


def questions_hash(conversation: Conversation) -> str:
    """SHA-256 (hex) of what is asked: the words of system and user, whatever is answered; "" where nothing is asked."""
    asked = [
        [message["role"], message["content"]]
        for message in conversation["messages"]
        if message["role"] in (Role.SYSTEM, Role.USER)
    ]
    if not any(role == Role.USER and content.strip() for role, content in asked):
        return ""
    text = json.dumps(asked, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def content_hash(conversation: Conversation) -> str:
    """SHA-256 (hex) of messages and tools with train flags; keys may stand in any order."""
    return _hash(conversation["messages"], conversation.get("tools"))


def says_something(messages: Iterable[Message]) -> bool:
    """Whether any turn has words or calls a tool."""
    return any(message["content"].strip() or message.get("tool_calls") for message in messages)


def _hash(messages: Iterable[Mapping[str, Any]], tools: Any) -> str:
    # Without tools the messages alone: conversations stored before there were any keep their hash.
    hashed = {"messages": messages, "tools": tools} if tools else messages
    text = json.dumps(hashed, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()
