"""What an event of the worker's child says, in English."""

from collections.abc import Mapping
from typing import Any

from app.sentences import Sentence


def said(event: Mapping[str, Any]) -> str:
    """The sentence of a `log` or a `failed` event."""
    return Sentence.from_json(event.get("sentence") or event).english()
