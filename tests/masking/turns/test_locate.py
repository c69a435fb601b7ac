"""Spans against an oracle that writes the pieces itself, over templates × conversations."""

import pytest
from hypothesis import given

from app.masking import (
    ChatTokenizer,
    MaskRefused,
    MaskSettings,
    mask_conversation,
)
from app.masking.turns.layout import Layout
from app.masking.turns.locate import locate
from tests.masking.conversations import PROPERTY, dialogues
from tests.masking.house_templates import HOUSES, House, written_by_model
from tests.masking.odd_templates import ODD, QUESTION_AND_ANSWERS, REFUSED


def spans_of(layout: Layout) -> set[int]:
    return {place for turn in layout.turns for place in range(turn.start, turn.end)}


@pytest.mark.parametrize("house", HOUSES, ids=lambda house: house.name)
def test_spans_are_what_the_model_must_generate(house: House, smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template(house.source, house.name, trusted=True)

    @PROPERTY
    @given(dialogues(house))
    def holds(messages: list[dict[str, str]]) -> None:
        text, own = written_by_model(house, messages)
        layout = locate(tokenizer, messages)
        assert layout.text == text
        assert not layout.refused
        assert spans_of(layout) == own

    holds()


@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_templates(name: str, smollm2: ChatTokenizer) -> None:
    source, expected = ODD[name]
    tokenizer = smollm2.with_chat_template(source, name, trusted=True)
    layout = locate(tokenizer, QUESTION_AND_ANSWERS)
    assert [layout.text[turn.start : turn.end] for turn in layout.turns] == expected


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_located_is_refused_with_the_template_and_the_turn(
    name: str, smollm2: ChatTokenizer
) -> None:
    source, turn = REFUSED[name]
    tokenizer = smollm2.with_chat_template(source, name, trusted=True)
    with pytest.raises(MaskRefused) as refused:
        mask_conversation(tokenizer, {"messages": QUESTION_AND_ANSWERS}, MaskSettings())
    assert refused.value.sentence.values["template"] == name
    assert refused.value.sentence.values.get("turn") == turn
    assert name in str(refused.value)
    assert "%(" not in str(refused.value)


def test_a_turn_that_is_only_context_needs_no_borders(smollm2: ChatTokenizer) -> None:
    """A template that shows only the last exchange can still train the last answer."""
    tokenizer = smollm2.with_chat_template(REFUSED["shows only the last exchange"][0], trusted=True)
    messages = [
        {**message, "train": place == 3} if message["role"] == "assistant" else message
        for place, message in enumerate(QUESTION_AND_ANSWERS)
    ]
    sample = mask_conversation(tokenizer, {"messages": messages}, MaskSettings()).samples[0]
    assert [sample.text[start:end] for start, end, _ in sample.spans] == ["ten a month.<|im_end|>"]
