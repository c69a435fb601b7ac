"""What lists, searches and reviewers want to know of a dialogue's messages. Pure functions."""

from collections.abc import Sequence
from typing import Final

from app.dialogue.conversation import Message
from app.dialogue.roles import Role
from app.sentences import N_

_TITLE_LENGTH: Final = 80


def title_of(messages: Sequence[Message]) -> str:
    """First words of the customer, or of whoever speaks first."""
    spoken = [m["content"] for m in messages if m["role"] == Role.USER and m["content"].strip()]
    text = " ".join((spoken or [m["content"] for m in messages])[0].split()) if messages else ""
    return text if len(text) <= _TITLE_LENGTH else text[: _TITLE_LENGTH - 1] + "…"


def search_text_of(messages: Sequence[Message], product: str | None, tags: Sequence[str]) -> str:
    """What a search looks through: all contents, the product and the tags, case folded."""
    return (
        "\n".join([*(message["content"] for message in messages), product or "", *tags]).casefold().rstrip()
    )


def problems_before_approval(messages: Sequence[Message]) -> list[str]:
    """Why this dialogue could not teach anything, as untranslated messages; empty when it may be approved."""
    problems = []
    if not any(message["role"] == Role.ASSISTANT and message["content"].strip() for message in messages):
        problems.append(N_("There is no assistant turn with text, so nothing could be trained."))
    if any(
        message["role"] in (Role.USER, Role.ASSISTANT)
        and not message["content"].strip()
        and not message.get("tool_calls")
        for message in messages
    ):
        problems.append(N_("A turn is empty. Fill it in or delete it."))
    return problems
