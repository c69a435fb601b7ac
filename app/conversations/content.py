"""What a conversation holds, between the row and the dialogue: reading, columns, and the way back."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

from app.conversations.messages import search_text_of, title_of
from app.conversations.models import Conversation
from app.core.errors import Invalid
from app.dialogue.canonical import canonical_conversation
from app.dialogue.conversation import Conversation as Dialogue
from app.dialogue.conversation import Labels
from app.dialogue.hashes import content_hash, questions_hash, words_hash
from app.dialogue.labels import LABELS, Outcome, read_labels
from app.dialogue.reading import read_conversation
from app.dialogue.refusals import DialogueRefused

Read = TypeVar("Read")


def read_dialogue(given: Mapping[str, Any]) -> Dialogue:
    """What a request holds, as a conversation in canonical form. Raises Invalid naming the turn, tool or label."""
    return reading(lambda: read_conversation(given))


def reading(read: Callable[[], Read]) -> Read:
    """What a reader of `app.dialogue` gives; its refusals become Invalid with their code and sentence."""
    try:
        return read()
    except DialogueRefused as refused:
        raise Invalid(refused.sentence, field=refused.field, code=refused.code) from refused


def dialogue_of(conversation: Conversation) -> Dialogue:
    """The stored conversation as a dialogue: messages, tools where there are any, labels."""
    labels = {name: getattr(conversation, name) for name in LABELS}
    return canonical_conversation({"messages": conversation.messages, "tools": conversation.tools, **labels})


def content_columns(dialogue: Dialogue) -> dict[str, Any]:
    """All columns of a dialogue in canonical form; plain JSON but for the outcome."""
    labels = label_columns({**_NO_LABELS, **_labels_of(dialogue)})
    columns = {**said_columns(dialogue), **labels}
    return {**columns, **told_columns(columns)}


def said_columns(dialogue: Dialogue) -> dict[str, Any]:
    """Messages, tools and all that is told from them alone."""
    return {
        "messages": dialogue["messages"],
        "tools": dialogue.get("tools") or [],
        "content_hash": content_hash(dialogue),
        "words_hash": words_hash(dialogue),
        "questions_hash": questions_hash(dialogue),
        "title": title_of(dialogue["messages"]),
    }


def told_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """What lists and searches need to know of the other columns; quickly told again."""
    searched = search_text_of(columns["messages"], columns["product"], columns["tags"])
    return {"title": title_of(columns["messages"]), "search_text": searched}


TOLD: Final = ("title", "search_text")


def label_columns(labels: Labels) -> dict[str, Any]:
    """The labels named, as columns."""
    columns = cast(dict[str, Any], dict(labels))
    if columns.get("outcome"):
        columns["outcome"] = Outcome(columns["outcome"])
    return columns


def set_columns(conversation: Conversation, columns: Mapping[str, Any]) -> None:
    """Put the columns into the row, with what a search looks through."""
    for name, value in columns.items():
        setattr(conversation, name, value)
    conversation.search_text = search_text_of(conversation.messages, conversation.product, conversation.tags)


def set_labels(conversation: Conversation, labels: Mapping[str, Any]) -> None:
    """Check and set the labels named; an empty value clears. Raises Invalid naming the label."""
    set_columns(conversation, label_columns(reading(lambda: read_labels(labels))))


_NO_LABELS: Labels = cast(Labels, {**dict.fromkeys(LABELS), "tags": []})


def _labels_of(dialogue: Dialogue) -> Labels:
    return cast(Labels, {name: value for name, value in dialogue.items() if name in LABELS})
