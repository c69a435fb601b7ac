"""Tokens that stand for what the rendering says, also where a character is split."""

from app.masking import ChatTokenizer, MaskSettings, mask_conversation, run_checks
from tests.masking.turns.pieces import END, LOOP
from tests.support.masks import chat


def test_a_character_whose_first_byte_went_to_the_prompt_is_no_fault(smollm2: ChatTokenizer) -> None:
    source = (
        LOOP
        + "{{ m.role + ': ' + m.content + ' <|im_end|>\n' }}"
        + END
        + ("{% if add_generation_prompt %}assistant: {% endif %}")
    )
    tokenizer = smollm2.with_chat_template(source, "spaced", trusted=True)
    for answer in ("每月十元。", "é", "😀", "عربى"):
        sample = mask_conversation(tokenizer, chat("q", answer), MaskSettings()).samples[0]
        assert [check for check in run_checks(tokenizer, sample) if not check.passed] == []
