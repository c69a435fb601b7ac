"""The reader of all doors: what it takes, what it refuses, by which turn, with which code."""

from typing import Any

import pytest

from app.dialogue import limits
from app.dialogue.reading import read_conversation, read_message, read_messages
from app.dialogue.refusals import DialogueRefused

QUESTION = {"role": "user", "content": "How much?"}
ANSWER = {"role": "assistant", "content": "Twelve."}


def refusal(given: Any) -> DialogueRefused:
    with pytest.raises(DialogueRefused) as refused:
        read_conversation(given)
    return refused.value


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({}, "no_messages", "messages"),
        ({"messages": []}, "no_messages", "messages"),
        ({"messages": "hello"}, "messages_not_list", "messages"),
        ({"messages": [QUESTION] * (limits.MESSAGES + 1)}, "too_many_messages", "messages"),
        ({"messages": [QUESTION], "colour": "red"}, "label_unknown", "colour"),
        ({"messages": [QUESTION], "stage": "x" * 61}, "label_too_long", "stage"),
        ({"messages": [QUESTION], "tools": "price"}, "tools_not_list", "tools"),
        ({"messages": [{**QUESTION, "content": "x" * 190_000}] * 23}, "conversation_too_large", "messages"),
    ],
)
def test_what_is_no_conversation_is_refused(given: Any, code: str, field: str) -> None:
    found = refusal(given)
    assert (found.code, found.field) == (code, field)


@pytest.mark.parametrize(
    ("message", "code", "field"),
    [
        ("hello", "message_not_object", ""),
        ({**ANSWER, "colour": 1}, "message_field_unknown", ""),
        ({"content": "x"}, "unknown_role", "role"),
        ({"role": ["user"], "content": "x"}, "unknown_role", "role"),
        ({"role": "wizard"}, "unknown_role", "role"),
        ({"role": "user", "content": ["x"]}, "content_not_text", "content"),
        ({**ANSWER, "name": 3}, "field_not_text", "name"),
        ({**ANSWER, "reasoning_content": {}}, "field_not_text", "reasoning_content"),
        ({**ANSWER, "content": "x" * (limits.TEXT_CHARACTERS + 1)}, "text_too_long", "content"),
        ({**ANSWER, "name": "x" * (limits.NAME_CHARACTERS + 1)}, "text_too_long", "name"),
        ({**ANSWER, "content": "\x00"}, "text_not_storable", "content"),
        ({**ANSWER, "tool_call_id": "\ud800"}, "text_not_storable", "tool_call_id"),
        ({**ANSWER, "train": 0}, "bad_train", "train"),
        ({**ANSWER, "train": "yes"}, "bad_train", "train"),
        ({**ANSWER, "tool_calls": [{"id": "x"}]}, "bad_tool_calls", "tool_calls"),
        ({**ANSWER, "tool_calls": {}}, "bad_tool_calls", "tool_calls"),
        ({"role": "assistant", "tool_calls": [{"id": "x"}]}, "bad_tool_calls", "tool_calls"),
        ({**QUESTION, "tool_calls": [{"function": {"name": "f"}}]}, "tool_calls_role", "tool_calls"),
    ],
)
def test_a_message_that_is_not_exact_is_refused_by_its_turn(message: Any, code: str, field: str) -> None:
    found = refusal({"messages": [QUESTION, message]})
    assert (found.code, found.field) == (code, f"messages.1.{field}".rstrip("."))
    if "turn" in found.sentence.values:
        assert found.sentence.values["turn"] == 2


def test_what_is_at_its_limit_is_taken() -> None:
    long = {**ANSWER, "content": "x" * limits.TEXT_CHARACTERS}
    assert read_conversation({"messages": [QUESTION, long]})["messages"][1] == long
    assert len(read_messages([QUESTION] * limits.MESSAGES)) == limits.MESSAGES


def test_line_ends_are_line_feeds_and_nulls_are_absent() -> None:
    message = {
        "role": "assistant",
        "content": "a\r\nb\r\r\nc\rd",
        "name": None,
        "train": None,
        "tool_calls": [],
    }
    assert read_message(message, 0) == {"role": "assistant", "content": "a\nb\nc\rd"}
    assert read_message({"role": "user"}, 0) == {"role": "user", "content": ""}


def test_tools_and_labels_come_along() -> None:
    found = read_conversation(
        {"messages": [QUESTION], "tools": [{"name": "f"}], "language": "English", "tags": None}
    )
    assert found["tools"] == [{"type": "function", "function": {"name": "f"}}]
    assert (found["language"], found["tags"], found["stage"]) == ("en", [], None)
    assert "tools" not in read_conversation({"messages": [QUESTION], "tools": []})
