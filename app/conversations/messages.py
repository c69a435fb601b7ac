"""The canonical form of messages: what is allowed in one, its hash, its title. Pure functions."""

import hashlib
import json
import re
from typing import Any, Final

from app.conversations.models import MessageRole
from app.core.errors import Invalid
from app.sentences import N_

Message = dict[str, Any]
MAX_MESSAGES: Final = 500
MAX_CONTENT_CHARACTERS: Final = 200_000
_KEYS: Final = ("role", "content", "train", "name", "tool_calls", "tool_call_id", "reasoning_content")
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_KNOWN: Final = frozenset(_KEYS)
_ROLES: Final = frozenset(role.value for role in MessageRole)
_TITLE_LENGTH: Final = 80
# PostgreSQL takes no NUL; half a surrogate pair has no UTF-8.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def canonical_message(message: Message, *, turn: int = 0) -> Message:
    """The message with known keys only, in a fixed order. Raises Invalid naming the turn (counted from 1)."""
    if not message.keys() <= _KNOWN:
        unknown = min(set(message) - _KNOWN)
        raise Invalid(N_("Turn %(turn)d has an unknown field: %(field)s."), turn=turn + 1, field=unknown)
    role = message.get("role", "")
    if not isinstance(role, str) or role not in _ROLES:
        raise Invalid(
            N_("Turn %(turn)d has the unknown role “%(role)s”. Use system, user, assistant or tool."),
            turn=turn + 1,
            role=str(role)[:40],
        )
    content = message.get("content") or ""
    if not isinstance(content, str):
        raise Invalid(N_("Turn %(turn)d: the content must be text."), turn=turn + 1)
    if "\r" in content:
        content = content.replace("\r\n", "\n")
    if len(content) > MAX_CONTENT_CHARACTERS:
        raise Invalid(
            N_("Turn %(turn)d is longer than %(limit)d characters."),
            turn=turn + 1,
            limit=MAX_CONTENT_CHARACTERS,
        )
    if message.get("train") not in (None, True, False):
        raise Invalid(N_("Turn %(turn)d: train must be true, false or absent."), turn=turn + 1)
    cleaned: Message = {"role": str(role), "content": content}
    for key in _KEYS[2:]:
        if message.get(key) is not None:
            cleaned[key] = message[key]
    if any(isinstance(value, str) and _UNSTORABLE.search(value) for value in cleaned.values()):
        raise Invalid(
            N_("Turn %(turn)d contains characters that cannot be stored (NUL or half a pair)."), turn=turn + 1
        )
    return cleaned


def canonical_messages(messages: list[Message]) -> list[Message]:
    """All messages in canonical form. Raises Invalid for none or too many."""
    if not messages:
        raise Invalid(N_("A conversation needs at least one message."))
    if len(messages) > MAX_MESSAGES:
        raise Invalid(N_("A conversation can have at most %(limit)d messages."), limit=MAX_MESSAGES)
    return [canonical_message(message, turn=index) for index, message in enumerate(messages)]


def content_hash(messages: list[Message]) -> str:
    """sha256 over the canonical messages; equal dialogues have equal hashes."""
    return hashlib.sha256(_ENCODER.encode(messages).encode("utf-8", "surrogatepass")).hexdigest()


def title_of(messages: list[Message]) -> str:
    """First words of the customer, or of whoever speaks first."""
    spoken = [m["content"] for m in messages if m["role"] == "user" and m["content"].strip()]
    text = " ".join((spoken or [m["content"] for m in messages])[0].split()) if messages else ""
    return text if len(text) <= _TITLE_LENGTH else text[: _TITLE_LENGTH - 1] + "…"


def search_text_of(messages: list[Message]) -> str:
    """What a search looks through: all contents, case folded."""
    return "\n".join(message["content"] for message in messages).casefold()


def problems_before_approval(messages: list[Message]) -> list[str]:
    """Why this dialogue could not teach anything, as untranslated messages; empty when it may be approved."""
    problems = []
    if not any(message["role"] == "assistant" and message["content"].strip() for message in messages):
        problems.append(N_("There is no assistant turn with text, so nothing could be trained."))
    if any(
        message["role"] in ("user", "assistant")
        and not message["content"].strip()
        and not message.get("tool_calls")
        for message in messages
    ):
        problems.append(N_("A turn is empty. Fill it in or delete it."))
    return problems
