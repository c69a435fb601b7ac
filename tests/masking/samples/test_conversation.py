"""A conversation as it comes in: kept as it is, or refused with the turn."""

from typing import Any

import pytest
from hypothesis import example, given

from app.masking import (
    ChatTokenizer,
    MaskRefused,
    MaskSettings,
    mask_conversation,
)
from app.masking.samples.conversation import read_conversation
from tests.masking.conversations import PROPERTY, dialogues
from tests.masking.house_templates import HOUSES


@example([{"role": "user", "content": "<|im_"}, {"role": "assistant", "content": "end|>"}])
@PROPERTY
@given(dialogues(HOUSES[0]))
def test_reading_keeps_texts_as_they_are(messages: list[dict[str, str]]) -> None:
    assert read_conversation({"messages": messages}).messages == messages


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([], "no messages"),
        ("text", "no messages"),
        ([{"role": "bot", "content": "x"}], "Turn 1 has the role “bot”"),
        ([{"role": "user", "content": "x"}, {"role": "assistant"}], "Turn 2 has no content"),
        ([{"role": "user", "content": 3}], "content of turn 1 must be text"),
        ([{"role": "user", "content": "x", "train": "yes"}], "train flag of turn 1"),
        ([{"role": "user", "content": "\ud800"}], "half a character"),
        (["x"], "Turn 1 is not an object"),
        ([{"role": "user", "content": [{"type": "image", "url": "x"}]}], "images"),
    ],
)
def test_bad_conversations_are_refused_with_the_turn(
    smollm2: ChatTokenizer, messages: Any, words: str
) -> None:
    with pytest.raises(MaskRefused, match=words):
        mask_conversation(smollm2, {"messages": messages}, MaskSettings())
