"""How much behind a turn's text is the turn's: each rule with a template that needs it."""

from typing import Any

import pytest

from app.masking import ChatTokenizer, locate
from tests.masking.turns.pieces import CALLING, CALLS, END, EOS, LOOP, PLAIN
from tests.masking.turns.tail_rules import RULES, SPELLS


def written(tokenizer: ChatTokenizer, messages: list[dict[str, Any]]) -> list[str]:
    layout = locate(tokenizer, messages)
    assert layout.refused == {}
    return [layout.text[turn.start : turn.end] for turn in layout.turns]


@pytest.mark.parametrize("rule", list(RULES))
def test_a_rule_of_tails(rule: str, smollm2: ChatTokenizer) -> None:
    source, messages, expected = RULES[rule]
    assert written(smollm2.with_chat_template(source, rule, trusted=True), messages) == expected


def test_where_a_call_goes_on_otherwise_behind_it_nothing_is_taken_for_its_end(
    smollm2: ChatTokenizer,
) -> None:
    source = (
        LOOP
        + "{{ '# ' + m.role + ':\n' + m.content }}"
        + CALLS
        + "{{ ('<gh_stars>' if loop.last else 'END ') + '\n' }}"
        + END
        + "{% if add_generation_prompt %}{{ '\n# assistant:\n\n' }}{% endif %}"
    )
    tokenizer = smollm2.with_chat_template(source, "parts", trusted=True)
    (refused,) = locate(tokenizer, CALLING).refused.values()
    assert "parts writes turn 2 otherwise when it is the last one" in str(refused)


def test_a_stop_token_in_the_arguments_of_a_call_is_never_taken_for_its_end(smollm2: ChatTokenizer) -> None:
    source = (
        "{% if messages[-1].role == 'assistant' and add_generation_prompt %}{{ raise_exception('x') }}{% endif %}"
        + LOOP
        + "{{ '<role>' + m.role + '</role>' + m.content }}"
        + CALLS
        + "{{ '<end>\n' }}"
        + END
    )
    tokenizer = smollm2.with_chat_template(source, "spells", trusted=True)
    (refused,) = locate(tokenizer, [CALLING[0], SPELLS]).refused.values()
    assert "spells cannot render the conversation up to turn 2 alone" in str(refused)


def test_words_and_a_call_may_stand_in_either_order(
    smollm2: ChatTokenizer, trl_templates: dict[str, str]
) -> None:
    """gpt-oss writes the words beside a call as thinking before it; the call is what the turn says last."""
    tokenizer = smollm2.with_chat_template(trl_templates["gptoss"], "gptoss", trusted=True)
    messages = [CALLING[0], {**CALLING[1], "content": "Let me look."}, *CALLING[2:]]
    calling, answer = written(tokenizer, messages)
    assert calling.endswith("<|call|>")
    assert answer == "<|channel|>final<|message|>Ten.<|return|>"


def test_a_header_that_is_always_written_ends_the_last_turn_where_generation_stops_at_it(
    smollm2: ChatTokenizer,
) -> None:
    source = (
        LOOP
        + "{{ '<gh_stars>' + m.role + ']\n' + m.content + ' ' }}"
        + END
        + "{{ '<gh_stars>assistant]\n' }}"
    )
    tokenizer = smollm2.with_chat_template(source, "stops", trusted=True)
    tokenizer.stop_ids = frozenset(tokenizer.added_tokens[token] for token in ("<gh_stars>", EOS))
    assert written(tokenizer, PLAIN[:2]) == ["Ten. <gh_stars>"]


HIDES = (
    LOOP
    + "{% if not (loop.last and m.tool_calls and add_generation_prompt) %}{{ m.role + '\n' + m.content }}"
    + CALLS
    + "{{ '<filename> ' }}{% endif %}"
    + END
    + "{% if add_generation_prompt %}{{ 'assistant\n' }}{% endif %}"
)
PARTS = (
    LOOP
    + "{{ m.role + '\n' + m.content }}"
    + CALLS
    + "{{ '<role>\n\n' if m.tool_calls and loop.last else '' }}"
    + END
    + "{% if add_generation_prompt %}{{ 'assistant\n' }}{% endif %}"
)


@pytest.mark.parametrize(
    ("source", "messages", "why"),
    [
        (HIDES, CALLING[:2], "cannot render the conversation up to turn 2 alone"),
        (PARTS, CALLING, "writes turn 2 otherwise when it is the last one"),
    ],
    ids=["hidden", "otherwise"],
)
def test_a_last_call_that_nothing_tells_the_end_of_is_refused(
    source: str, messages: list[dict[str, Any]], why: str, smollm2: ChatTokenizer
) -> None:
    (refused,) = locate(smollm2.with_chat_template(source, "calls", trusted=True), messages).refused.values()
    assert why in str(refused)
