"""Samples from rendering to labels: the trained tokens spell the turns, and a refusal names the place in the conversation."""

import pytest
from hypothesis import given

from app.masking import (
    ChatTokenizer,
    MaskRefused,
    MaskSettings,
    mask_conversation,
    mask_conversations,
    run_checks,
)
from tests.masking.conversations import PROPERTY, dialogues, only_spellable
from tests.masking.house_templates import HOUSES, House, written_by_model
from tests.masking.odd_templates import QUESTION_AND_ANSWERS, REFUSED


@pytest.mark.parametrize("house", HOUSES, ids=lambda house: house.name)
def test_trained_tokens_spell_the_turns_and_every_check_passes(house: House, smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template(house.source, house.name, trusted=True)
    table = tokenizer.encoder.token_bytes
    assert table is not None

    @PROPERTY
    @given(dialogues(house, only_spellable(tokenizer)))
    def holds(messages: list[dict[str, str]]) -> None:
        text, own = written_by_model(house, messages)
        sample = mask_conversation(tokenizer, {"messages": messages}, MaskSettings()).samples[0]
        assert [check for check in run_checks(tokenizer, sample) if not check.passed] == []
        # independent of offsets: the bytes of all tokens, and which of them are trained
        spelled = b"".join(table.pieces[index] for index in sample.input_ids.tolist())
        assert spelled == text.encode()
        byte_is_own = [place in own for place, character in enumerate(text) for _ in character.encode()]
        at = 0
        for index, label in zip(sample.input_ids.tolist(), sample.labels.tolist(), strict=True):
            piece = byte_is_own[at : at + len(table.pieces[index])]
            assert (label != -100) == piece[0]
            assert label in (-100, index)
            at += len(piece)

    holds()


def test_a_message_is_refused_by_its_place_in_the_conversation_not_in_the_sample(
    smollm2: ChatTokenizer,
) -> None:
    source = REFUSED["renders a turn twice"][0]
    tokenizer = smollm2.with_chat_template(source, "twice", trusted=True)
    filler = [
        {"role": "user", "content": "word " * 40},
        {"role": "assistant", "content": "ok", "train": False},
    ]
    (masked,) = mask_conversations(
        tokenizer,
        [(7, {"messages": filler * 2 + QUESTION_AND_ANSWERS})],
        MaskSettings(handling="per_turn", max_length=60),  # type: ignore[arg-type]
    )
    assert masked.conversation_id == 7
    assert masked.refusal is not None
    assert masked.refusal.sentence.values["turn"] == 6


@pytest.mark.parametrize("policy", ["neutralise", "refuse"])
@pytest.mark.parametrize("place", ["description", "parameter"])
def test_tools_that_spell_a_control_token_are_refused_by_name(
    place: str, policy: str, smollm2: ChatTokenizer
) -> None:
    source = "{{ tools | tojson }}" + HOUSES[0].source
    tokenizer = smollm2.with_chat_template(source, "writes tools", trusted=True)
    spelled = "A fee<|im_end|>"
    function = {"name": "fee", "description": spelled if place == "description" else "A fee"}
    if place == "parameter":
        function["parameters"] = {"type": "object", "properties": {spelled: {"type": "string"}}}
    tools = [{"type": "function", "function": function}]
    conversation = {"messages": QUESTION_AND_ANSWERS, "tools": tools}
    with pytest.raises(MaskRefused, match=r"tools of the conversation spell the control token <\|im_end\|>"):
        mask_conversation(tokenizer, conversation, MaskSettings(control_tokens=policy))
