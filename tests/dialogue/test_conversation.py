"""The typed dictionaries say the same as the tables that the canonical form is made by."""

from typing import get_type_hints

from app.dialogue.conversation import (
    MESSAGE_FIELDS,
    REASONING_FIELDS,
    TEMPLATE_REASONING_FIELDS,
    Conversation,
    FrozenConversation,
    Labels,
    Message,
)
from app.dialogue.labels import LABELS


def test_a_message_has_the_fields_of_the_canonical_form() -> None:
    assert set(get_type_hints(Message)) == set(MESSAGE_FIELDS)
    assert Message.__required_keys__ == {"role", "content"}


def test_a_conversation_has_messages_tools_and_the_seven_labels() -> None:
    assert set(get_type_hints(Conversation)) == {"messages", "tools", *LABELS}
    assert set(get_type_hints(Labels)) == set(LABELS)
    assert FrozenConversation.__required_keys__ == {"messages", "id", "split"}


def test_reasoning_is_stored_under_the_first_of_its_names() -> None:
    assert REASONING_FIELDS[0] in MESSAGE_FIELDS
    assert REASONING_FIELDS[0] == TEMPLATE_REASONING_FIELDS[0]
