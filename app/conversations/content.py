"""What a conversation holds, as columns: its messages, what is told from them, its labels. Pure functions."""

from typing import Any, Final

from app.conversations.messages import (
    Message,
    canonical_messages,
    content_hash,
    search_text_of,
    title_of,
)
from app.conversations.models import Conversation, Outcome
from app.conversations.revisions import LABELS
from app.core.errors import Invalid
from app.sentences import N_

_MAX_LENGTH: Final = {"stage": 60, "objection": 60, "product": 120, "source": 120, "language": 10}
_MAX_TAG_LENGTH: Final = 40


def content_columns(data: dict[str, Any]) -> dict[str, Any]:
    """Messages, labels and what is told from them, from the canonical conversation JSON; plain JSON again.

    Raises Invalid naming the turn or field.
    """
    return {
        **message_columns(canonical_messages(list(data.get("messages") or []))),
        **dict.fromkeys(LABELS),
        "tags": [],
        **label_columns({name: data[name] for name in LABELS if data.get(name) is not None}),
    }


def set_messages(conversation: Conversation, messages: list[Message]) -> None:
    for name, value in message_columns(messages).items():
        setattr(conversation, name, value)


def message_columns(messages: list[Message]) -> dict[str, Any]:
    """The messages and all that is told from them."""
    return {
        "messages": messages,
        "content_hash": content_hash(messages),
        **told_columns(messages),
    }


def told_columns(messages: list[Message]) -> dict[str, Any]:
    """What lists and searches need to know of the messages; quickly told again."""
    return {"title": title_of(messages), "search_text": search_text_of(messages)}


def set_labels(conversation: Conversation, labels: dict[str, Any]) -> None:
    for name, value in label_columns(labels).items():
        setattr(conversation, name, value)


def label_columns(labels: dict[str, Any]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, value in labels.items():
        if name not in LABELS:
            raise Invalid(N_("There is no label %(name)s."), field=name, name=name)
        if name == "outcome":
            try:
                value = Outcome(value) if value else None
            except ValueError:
                raise Invalid(N_("The outcome must be won, lost or open."), field=name) from None
        elif name == "tags":
            value = _tags(value)
        else:
            value = str(value).strip() or None if value else None
            if value and len(value) > _MAX_LENGTH[name]:
                raise _too_long(name, _MAX_LENGTH[name])
        columns[name] = value
    return columns


def _tags(value: Any) -> list[str]:
    """Tags from a list, or from what a person typed with commas between."""
    words = value.replace("，", ",").split(",") if isinstance(value, str) else (value or [])
    tags = sorted({str(word).strip() for word in words if str(word).strip()})
    if any(len(tag) > _MAX_TAG_LENGTH for tag in tags):
        raise _too_long("tags", _MAX_TAG_LENGTH)
    return tags


def _too_long(name: str, limit: int) -> Invalid:
    return Invalid(
        N_("The label %(name)s is longer than %(limit)d characters."), field=name, name=name, limit=limit
    )
