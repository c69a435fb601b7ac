"""What is known of a conversation beside its words: seven labels, each with its length."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, cast

from app.dialogue import limits
from app.dialogue.conversation import Labels
from app.dialogue.json_values import is_storable
from app.dialogue.language import language_code
from app.dialogue.refusals import (
    LABEL_NOT_STORABLE,
    LABEL_NOT_TEXT,
    LABEL_TOO_LONG,
    LABEL_UNKNOWN,
    LANGUAGE_UNKNOWN,
    OUTCOME_UNKNOWN,
    TAGS_NOT_LIST,
    TOO_MANY_TAGS,
    DialogueRefused,
)


class Outcome(StrEnum):
    """How the deal ended."""

    WON = "won"
    LOST = "lost"
    OPEN = "open"


_OUTCOMES: Final = frozenset(outcome.value for outcome in Outcome)
# The most characters of a value, of tags of each. The order is that of frozen files, which are named by their hash.
LABELS: Final[Mapping[str, int]] = {
    "outcome": 10,
    "stage": 60,
    "objection": 60,
    "product": 120,
    "language": 10,
    "source": 120,
    "tags": 40,
}


def read_labels(given: Mapping[str, Any]) -> Labels:
    """The labels named, each in canonical form; what is blank is None. Raises DialogueRefused naming the label."""
    return cast(Labels, {name: read_label(name, value) for name, value in given.items()})


def read_label(name: str, value: Any) -> str | list[str] | None:
    """One label: text without blanks around it, a language as its code, tags sorted and each once.

    Raises DialogueRefused.
    """
    if name not in LABELS:
        raise DialogueRefused(LABEL_UNKNOWN, name, name=name[:40])
    if name == "tags":
        return _tags(value)
    text = _text(name, value)
    if not text:
        return None
    if name == "outcome":
        if text not in _OUTCOMES:
            raise DialogueRefused(OUTCOME_UNKNOWN, name)
        return text
    if name == "language":
        code = language_code(text)
        if code is None:
            raise DialogueRefused(LANGUAGE_UNKNOWN, name, value=text)
        return code
    return text


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DialogueRefused(LABEL_NOT_TEXT, name, name=name)
    text = value.strip()
    if len(text) > LABELS[name]:
        raise DialogueRefused(LABEL_TOO_LONG, name, name=name, limit=LABELS[name])
    if not is_storable(text):
        raise DialogueRefused(LABEL_NOT_STORABLE, name, name=name)
    return text


def _tags(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise DialogueRefused(TAGS_NOT_LIST, "tags")
    if not all(isinstance(tag, str) for tag in value):
        raise DialogueRefused(TAGS_NOT_LIST, "tags")
    tags = sorted({text for tag in value if (text := _text("tags", tag))})
    if len(tags) > limits.TAGS:
        raise DialogueRefused(TOO_MANY_TAGS, "tags", limit=limits.TAGS)
    return tags
