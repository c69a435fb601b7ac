"""Which turns are trained: by the strategy, and by the flags of turns."""

import pytest

from app.masking import (
    ChatTokenizer,
    MaskSettings,
    TrainOn,
    mask_conversation,
    run_checks,
)
from tests.support.masks import chat, samples, trained_text


def test_strategies_choose_turns(smollm2: ChatTokenizer) -> None:
    conversation = chat("Q1", "A1", "Q2", "A2", system="S")

    def text(strategy: str) -> str:
        return trained_text(smollm2, samples(smollm2, conversation, train_on=strategy)[0])

    assert text("assistant") == "A1<|im_end|>A2<|im_end|>"
    assert text("last_assistant") == "A2<|im_end|>"
    assert text("content") == "SQ1A1<|im_end|>Q2A2<|im_end|>"
    assert text("all") == smollm2.render(conversation["messages"])


@pytest.mark.parametrize("strategy", list(TrainOn))
def test_a_flag_on_a_turn_wins_over_the_strategy(smollm2: ChatTokenizer, strategy: TrainOn) -> None:
    conversation = chat("Q1", "A1", "Q2", "A2")
    conversation["messages"][0]["train"] = True
    conversation["messages"][1]["train"] = True
    conversation["messages"][2]["train"] = False
    conversation["messages"][3]["train"] = False
    text = trained_text(smollm2, samples(smollm2, conversation, train_on=strategy)[0])
    assert "Q1" in text
    assert "A1<|im_end|>" in text
    assert "Q2" not in text
    assert "A2" not in text


def test_flags_are_never_shown_to_the_template(smollm2: ChatTokenizer) -> None:
    source = (
        "{% for m in messages %}{{ m | tojson }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}{{ '{' }}{% endif %}"
    )
    tokenizer = smollm2.with_chat_template(source, "json", trusted=True)
    conversation = chat("Q", "A", train=True)
    assert "train" not in mask_conversation(tokenizer, conversation, MaskSettings()).samples[0].text


def test_a_sample_without_a_trained_token_is_dropped_and_counted(smollm2: ChatTokenizer) -> None:
    masked = mask_conversation(smollm2, chat("only a question"), MaskSettings())
    assert masked.samples == []
    assert masked.dropped == 1
    failed = [check.name for check in run_checks(smollm2, masked.untrained[0]) if not check.passed]
    assert failed == ["trains_something"]
