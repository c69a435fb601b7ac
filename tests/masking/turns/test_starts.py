"""Where answers begin that come first, follow one another, or stand behind a prompt that is always there."""

from typing import Any

import pytest

from app.masking import ChatTokenizer, MaskRefused, MaskSettings, locate, mask_conversation, run_checks
from tests.masking.turns.pieces import ASKED, END, EOS, HEAD, LOOP, PROMPT, TURN
from tests.masking.turns.start_rules import (
    BEHIND_A_SIGN,
    FIRST,
    NOT_ALONE,
    NOTED,
    REFUSED,
    RULES,
    SIGNED,
    THINK,
    prompted,
)
from tests.support.masks import chat, trained_text

# name -> template, conversation, what the model must write in each answer
TURNS: dict[str, tuple[str, list[dict[str, Any]], list[str]]] = {
    "a second answer without a header": (
        LOOP + "{% if m.role == 'assistant' %}{{ m.content + '<|im_end|>\n' }}{% else %}"
        "{{ '<|im_start|>user\n' + m.content + '<|im_end|>\n<|im_start|>assistant\n' }}{% endif %}"
        + END
        + "{% if add_generation_prompt and messages[-1].role == 'assistant' %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        [*ASKED, {"role": "assistant", "content": "Hm."}, {"role": "assistant", "content": "Ten."}],
        ["Hm." + EOS, "Ten." + EOS],
    ),
    "an answer first, where no prompt can be written before it": (
        "{% if messages[0].role == 'system' %}{% endif %}"
        + LOOP
        + TURN
        + END
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}",
        chat("q", "Ten.")["messages"][1:] + chat("q", "Six.")["messages"],
        ["Ten." + EOS, "Six." + EOS],
    ),
    "an answer first, after a default system prompt and without a header": (
        "<|endoftext|>{% if messages[0].role != 'system' %}<repo_name>Be nice.<file_sep>{% endif %}"
        + LOOP
        + "{% if m.role == 'user' %}{{ '[INST]' + m.content + '[/INST]' }}{% else %}{{ m.content + '<|im_end|>' }}"
        "{% endif %}" + END,
        chat("q", "Ten.")["messages"][1:] + chat("q", "Six.")["messages"],
        ["Ten." + EOS, "Six." + EOS],
    ),
    "an answer first, and the prompt begins with a break": (
        LOOP + "{% if not loop.first %}{{ '\n\n' }}{% endif %}{{ '### ' + m.role + ':\n' + m.content }}"
        "{% if m.role == 'assistant' %}<|im_end|>{% endif %}"
        + END
        + "{% if add_generation_prompt %}{{ '\n\n### assistant:\n' }}{% endif %}",
        chat("q", "Ten.")["messages"][1:] + chat("q", "Six.")["messages"],
        ["Ten." + EOS, "Six." + EOS],
    ),
    "an answer first, right after the beginning of the text": (
        "{% for m in messages %}{% if loop.first %}{{ bos_token }}{% endif %}{% if m.role == 'user' %}"
        "{{ 'Human: ' + m.content + '\n\nAssistant:\n' }}{% else %}{{ m.content + '<|im_end|>' }}{% endif %}"
        "{% endfor %}",
        chat("q", "Ten.")["messages"][1:] + chat("q", "Six.")["messages"],
        ["Ten." + EOS, "Six." + EOS],
    ),
    "a beginning that holds no question is not rendered": (
        "{% if messages | selectattr('role', 'equalto', 'user') | list | length == 0 %}"
        "{{ raise_exception('no question') }}{% endif %}" + LOOP + TURN + END + PROMPT,
        chat("q", "Ten.")["messages"][1:] + chat("q", "Six.")["messages"],
        ["Ten." + EOS, "Six." + EOS],
    ),
    "an answer first, and the prompt stands inside the loop": (
        LOOP
        + TURN
        + "{% if loop.last and add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
        + END,
        chat("q", "Ten.")["messages"][1:] + chat("q", "Six.")["messages"],
        ["Ten." + EOS, "Six." + EOS],
    ),
    "an answer first, after a default system prompt, and the prompt is always there": (
        LOOP
        + "{% if loop.first and m.role != 'system' %}{{ '<|im_start|>system\nBe nice.<|im_end|>\n' }}{% endif %}"
        + TURN
        + "{% if loop.last and m.role != 'assistant' %}{{ '<|im_start|>assistant\nI think:\n' }}{% endif %}"
        + END,
        chat("q", "Ten.")["messages"][1:] + chat("q", "Six.")["messages"],
        ["Ten." + EOS, "Six." + EOS],
    ),
    "a prompt that is always there and says more than the header": (
        LOOP + TURN + "{% if loop.last and m.role != 'assistant' %}"
        "{{ '<|im_start|>assistant\nHere is what I think:\n' }}{% endif %}" + END,
        chat("q", "Ten.", "r", "Six.")["messages"],
        ["Ten." + EOS, "Six." + EOS],
    ),
}


@pytest.mark.parametrize("name", sorted(TURNS))
def test_answers_begin_behind_what_the_prompt_writes(name: str, smollm2: ChatTokenizer) -> None:
    source, messages, expected = TURNS[name]
    tokenizer = smollm2.with_chat_template(source, name, trusted=True)
    sample = mask_conversation(tokenizer, {"messages": messages}, MaskSettings()).samples[0]
    assert [sample.text[start:end] for start, end, _ in sample.spans] == expected
    assert trained_text(tokenizer, sample) == "".join(expected)
    assert [check for check in run_checks(tokenizer, sample) if not check.passed] == []


def test_words_before_a_first_answer_are_not_its_header(smollm2: ChatTokenizer) -> None:
    """Without any prompt nothing tells where the default system prompt is over."""
    source = (
        LOOP
        + "{% if loop.first and m.role != 'system' %}{{ '<|im_start|>system\nBe nice.<|im_end|>\n' }}{% endif %}"
    )
    tokenizer = smollm2.with_chat_template(source + TURN + END, "no prompt", trusted=True)
    messages = chat("q", "Ten.")["messages"]
    sample = mask_conversation(tokenizer, {"messages": messages}, MaskSettings()).samples[0]
    assert trained_text(tokenizer, sample) == HEAD + "assistant\nTen." + EOS
    with pytest.raises(MaskRefused, match="no prompt writes a generation prompt before turn 1"):
        mask_conversation(tokenizer, {"messages": messages[1:]}, MaskSettings())


@pytest.mark.parametrize("rule", RULES)
def test_an_answer_begins(rule: str, smollm2: ChatTokenizer) -> None:
    source, messages, expected = RULES[rule]
    layout = locate(smollm2.with_chat_template(source, rule, trusted=True), messages)
    assert [layout.text[turn.start : turn.end].removesuffix("\n") for turn in layout.turns] == expected
    assert not any(turn.writes_header for turn in layout.turns)


@pytest.mark.parametrize("rule", REFUSED)
def test_an_answer_is_refused(rule: str, smollm2: ChatTokenizer) -> None:
    source, messages, turn = REFUSED[rule]
    layout = locate(smollm2.with_chat_template(source, "odd", trusted=True), messages)
    assert f"before turn {turn} that" in str(layout.refused[turn - 1])


def test_what_the_prompt_says_beyond_the_header_is_told_and_whether_the_model_writes_the_header(
    smollm2: ChatTokenizer,
) -> None:
    turns = LOOP + TURN + END
    told = {turns + THINK: ("<think>\n", False), turns + PROMPT: ("", False), turns: ("", True)}
    told[turns + prompted("<|im_start|>assistant")] = ("", False)
    told[LOOP + "{{ '[INST]' + m.content + '[/INST]' if m.role == 'user' else m.content }}" + END] = (
        "",
        False,
    )
    for source, expected in told.items():
        tokenizer = smollm2.with_chat_template(source, "prompt", trusted=True)
        (turn,) = locate(tokenizer, chat("q", "Ten.")["messages"]).turns
        assert (turn.prompt_rest, turn.writes_header) == expected


def test_what_the_prompt_says_beyond_a_first_answers_header_is_told(smollm2: ChatTokenizer) -> None:
    turns = LOOP + TURN + END
    told = {turns + THINK: "<think>\n", NOTED + prompted("<|im_start|>assistant\\n\\n"): ""}
    for source, expected in told.items():
        first, _ = locate(smollm2.with_chat_template(NOT_ALONE + source, "prompt", trusted=True), FIRST).turns
        assert first.prompt_rest == expected


def test_words_before_a_first_answer_are_not_its_header_where_its_text_is_not_told_either(
    smollm2: ChatTokenizer,
) -> None:
    words = "{% if loop.first and m.role != 'system' %}{{ 'Be nice.\n' }}{% endif %}"
    source = BEHIND_A_SIGN.replace(LOOP, LOOP + words)
    layout = locate(smollm2.with_chat_template(source, "odd", trusted=True), SIGNED[1:])
    assert "before turn 1 that" in str(layout.refused[0])


def test_an_answer_begins_where_a_tokenizer_has_no_beginning_of_a_text(smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template(LOOP + TURN + END + PROMPT, "prompt", trusted=True)
    del tokenizer.variables["bos_token"]
    first, _ = locate(tokenizer, FIRST).turns
    assert first.content_start == first.start


def test_a_first_answer_whose_beginning_is_not_told_has_its_header_written_where_nothing_can_be_asked_before_it(
    smollm2: ChatTokenizer,
) -> None:
    within = "{% if loop.last and add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    source = BEHIND_A_SIGN.removesuffix(END) + within + END
    (turn,) = locate(smollm2.with_chat_template(source, "odd", trusted=True), SIGNED[1:]).turns
    assert (turn.start, turn.writes_header) == (len(HEAD), True)  # no model writes the beginning of a text
