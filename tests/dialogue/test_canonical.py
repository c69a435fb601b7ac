"""The canonical form: known fields in their order, absent ones left out, the same after any way through JSON."""

import json
from typing import Any

from hypothesis import given, settings

from app.dialogue.canonical import canonical_conversation, canonical_message
from app.dialogue.labels import LABELS
from app.dialogue.reading import read_conversation
from tests.dialogue.strategies import MESSAGE, TOOLS, conversations


def test_a_message_has_its_fields_in_order_and_no_empty_ones() -> None:
    message = {"train": False, "content": None, "name": None, "tool_calls": [], "role": "user", "other": 1}
    assert list(canonical_message(message).items()) == [("role", "user"), ("content", ""), ("train", False)]


def test_a_conversation_has_every_label_and_tools_only_where_there_are_some() -> None:
    found = canonical_conversation(
        {"messages": [], "tools": [], "stage": "  ", "tags": ["b", " a ", "", "b"]}
    )
    assert list(found) == ["messages", *LABELS]
    assert (found["stage"], found["tags"]) == (None, ["a", "b"])
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert list(canonical_conversation({"messages": [], "tools": tools}))[:2] == ["messages", "tools"]


@settings(max_examples=200, deadline=None)
@given(conversations(MESSAGE, TOOLS))
def test_it_is_its_own_canonical_form_and_survives_json(value: dict[str, Any]) -> None:
    found = read_conversation(value)
    assert canonical_conversation(found) == found
    assert read_conversation(found) == found
    assert read_conversation(json.loads(json.dumps(found))) == found
    shuffled = dict(reversed([*found.items()]))
    assert json.dumps(read_conversation(shuffled)) == json.dumps(found)
