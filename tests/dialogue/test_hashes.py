"""Two hashes: of what is said, and of what is trained of it; duplicates are told by the first."""

import hashlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialogue.hashes import content_hash, says_something, words_hash
from app.dialogue.reading import read_conversation
from tests.dialogue.strategies import MESSAGE, TOOLS, conversations

MESSAGES = [{"role": "user", "content": "How much?"}, {"role": "assistant", "content": "Twelve."}]
TOOL = {"type": "function", "function": {"name": "price"}}


def with_keys_reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: with_keys_reversed(value[key]) for key in reversed([*value])}
    return [with_keys_reversed(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=150, deadline=None)
@given(conversations(MESSAGE, TOOLS), st.data())
def test_hashes_are_stable_under_key_order_and_flags_change_only_one(
    value: dict[str, Any], data: st.DataObject
) -> None:
    found = read_conversation(value)
    turned = with_keys_reversed(found)
    assert (words_hash(turned), content_hash(turned)) == (words_hash(found), content_hash(found))
    place = data.draw(st.integers(0, len(found["messages"]) - 1))
    flag = not found["messages"][place].get("train", False)
    messages = [*found["messages"]]
    messages[place] = {**messages[place], "train": flag}
    assert words_hash({**found, "messages": messages}) == words_hash(found)
    assert content_hash({**found, "messages": messages}) != content_hash(found)


@settings(max_examples=150, deadline=None)
@given(conversations(MESSAGE, TOOLS), st.data())
def test_both_hashes_change_with_every_word(value: dict[str, Any], data: st.DataObject) -> None:
    found = read_conversation(value)
    place = data.draw(st.integers(0, len(found["messages"]) - 1))
    messages = [*found["messages"]]
    messages[place] = {**messages[place], "content": messages[place]["content"] + "!"}
    for changed in ({**found, "messages": messages}, {**found, "messages": found["messages"][:-1]}):
        assert words_hash(changed) != words_hash(found)
        assert content_hash(changed) != content_hash(found)


def test_labels_do_not_count_and_tools_do() -> None:
    plain = read_conversation({"messages": MESSAGES})
    labelled = read_conversation({"messages": MESSAGES, "stage": "demo", "tags": ["a"]})
    with_tools = read_conversation({"messages": MESSAGES, "tools": [TOOL]})
    for hash_of in (words_hash, content_hash):
        assert hash_of(labelled) == hash_of(plain)
        assert hash_of(with_tools) != hash_of(plain)


def test_without_tools_they_are_what_they_were_before_there_were_any() -> None:
    """Rows and frozen versions keep the hashes that they were stored with."""
    flagged = [MESSAGES[0], {**MESSAGES[1], "train": False}]

    def sha(messages: Any) -> str:
        text = json.dumps(messages, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    found = read_conversation({"messages": flagged})
    assert content_hash(found) == sha(flagged)
    assert words_hash(found) == sha(MESSAGES)


def test_a_new_conversation_says_nothing_yet() -> None:
    assert not says_something(
        read_conversation({"messages": [{"role": "user", "content": " \n"}]})["messages"]
    )
    assert says_something(read_conversation({"messages": MESSAGES})["messages"])
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "price"}}]}
    assert says_something(read_conversation({"messages": [call]})["messages"])
