"""Which turns train, and flags in their shortest form."""

from app.dialogue.conversation import Conversation
from app.dialogue.trained import apply_source_mask, masks_of, trained_places, with_shortest_flags

PLAIN: Conversation = {
    "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "b"},
    ]
}


def test_assistant_turns_train_unless_a_flag_says_otherwise() -> None:
    assert trained_places(PLAIN) == [1, 3]
    only_last = apply_source_mask(PLAIN, "last_assistant")
    assert trained_places(only_last) == [3]
    assert [message.get("train") for message in only_last["messages"]] == [None, False, None, None]
    assert trained_places(apply_source_mask(PLAIN, "everything")) == [0, 1, 2, 3]
    assert apply_source_mask(PLAIN, "file") is PLAIN


def test_flags_that_say_what_is_so_anyway_are_left_out() -> None:
    flagged: Conversation = {
        "messages": [{**message, "train": message["role"] == "assistant"} for message in PLAIN["messages"]]
    }
    assert with_shortest_flags(flagged) == PLAIN
    assert masks_of(flagged) == {"assistant"}
