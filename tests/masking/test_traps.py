"""Known traps of loss masks, each with the behaviour that keeps the mask exact."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from app.masking import (
    IGNORE_INDEX,
    ChatTokenizer,
    MaskRefused,
    MaskSettings,
    mask_conversation,
    preview,
    run_checks,
)
from tests.support.masks import ATTACK, chat, mask, trained_text

# -- the end of a turn -------------------------------------------------------------------------------------


def test_the_end_of_turn_is_trained_although_it_is_also_the_pad_token(smollm2: ChatTokenizer) -> None:
    assert smollm2.variables["pad_token"] == smollm2.eos_token == "<|im_end|>"
    sample = mask(smollm2, chat("Hi", "Hello"))
    end = smollm2.added_tokens["<|im_end|>"]
    assert sample.labels.tolist().count(end) == 1
    assert trained_text(smollm2, sample) == "Hello<|im_end|>"


def test_the_templates_end_of_turn_counts_not_the_base_models_end_of_sequence(smollm2_folder: Path) -> None:
    """Llama 3's base end of sequence differs from <|eot_id|>; the turn ends with the latter."""
    tokenizer = ChatTokenizer.from_folder(smollm2_folder, trusted=True)
    tokenizer.variables["eos_token"] = "<|endoftext|>"
    tokenizer.stop_ids = frozenset()
    assert trained_text(tokenizer, mask(tokenizer, chat("Hi", "Hello"))) == "Hello<|im_end|>"


def test_a_model_that_stops_by_opening_the_next_turn_learns_that_token(smollm2: ChatTokenizer) -> None:
    source = (
        "{% for m in messages %}{{ '<repo_name>' if m.role == 'user' else '<file_sep>' }}{{ m.content"
        " }}{% endfor %}"
        "{% if add_generation_prompt %}<file_sep>{% endif %}"
    )
    tokenizer = smollm2.with_chat_template(source, "stops at the next speaker", trusted=True)
    tokenizer.stop_ids = frozenset({tokenizer.added_tokens["<repo_name>"]})
    masked = mask_conversation(tokenizer, chat("a", "b", "c", "d"), MaskSettings()).samples[0]
    assert trained_text(tokenizer, masked) == "b<repo_name>d"
    failed = [check for check in run_checks(tokenizer, masked) if not check.passed]
    assert [check.name for check in failed] == ["end_of_turn"]  # the last turn has no next speaker


# -- control tokens in message text ------------------------------------------------------------------------


@pytest.mark.parametrize("attacked", [0, 1, 2])
def test_control_tokens_in_message_text_stay_text(smollm2: ChatTokenizer, attacked: int) -> None:
    turns = ["Hi there", "Hello", "Price?", "Ten"]
    clean = mask(smollm2, chat(*turns))
    turns[attacked] = ATTACK
    sample = mask(smollm2, chat(*turns))
    ids = sample.input_ids
    assert smollm2.count_controls(ids) == smollm2.count_controls(clean.input_ids)
    assert smollm2.encoder.tokenizer.decode(ids.tolist(), skip_special_tokens=False) == sample.text
    answers = [turn for place, turn in enumerate(turns) if place % 2]
    assert trained_text(smollm2, sample) == "".join(f"{answer}<|im_end|>" for answer in answers)
    detail = next(check.detail for check in run_checks(smollm2, sample) if check.name == "control_tokens")
    assert f"{attacked + 1}: <|im_end|>" in detail
    assert f"{attacked + 1}: <|im_start|>" in detail


def test_an_attack_changes_nothing_outside_its_own_message(smollm2: ChatTokenizer) -> None:
    clean = mask(smollm2, chat("Hi", "Hello", "Price?", "Ten a month."))
    attacked = mask(smollm2, chat(ATTACK, "Hello", "Price?", "Ten a month."))
    after = len("Hi")
    assert (
        clean.input_ids[clean.encoded.tokens_of(0, clean.text.index("Hi")).stop + after :].tolist()[-20:]
        == (attacked.input_ids.tolist()[-20:])
    )


def test_control_tokens_can_be_refused(smollm2: ChatTokenizer) -> None:
    with pytest.raises(MaskRefused) as refused:
        mask_conversation(smollm2, chat("Hi", ATTACK), MaskSettings(control_tokens="refuse"))
    assert refused.value.sentence.values == {"turn": 2, "token": "<|im_end|>"}


def test_message_and_template_together_spell_no_control_token(smollm2: ChatTokenizer) -> None:
    """The text ends where the template's own characters would complete a control token."""
    source = (
        "{% for m in messages %}<|im_start|>{{ m.role + '\n' + m.content }}im_end|>x<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    tokenizer = smollm2.with_chat_template(source, "completes", trusted=True)
    sample = mask(tokenizer, chat("half of one: <|", "fine"))
    assert "half of one: <|im_end|>x<|im_end|>" in sample.text
    assert tokenizer.count_controls(sample.input_ids) == 4


def test_control_tokens_in_tool_calls_and_names_stay_text(smollm2: ChatTokenizer) -> None:
    source = (
        "{% for m in messages %}<|im_start|>{{ m.role + '\n' + (m.content or '') }}"
        "{% for call in m.tool_calls or [] %}{{ call.function.name + call.function.arguments | tojson"
        " }}{% endfor %}"
        "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    tokenizer = smollm2.with_chat_template(source, "tools", trusted=True)
    call = {"type": "function", "function": {"name": "price", "arguments": {"plan": "<|im_end|>"}}}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "<|im_start|>10"},
        {"role": "assistant", "content": "Ten."},
    ]
    sample = mask(tokenizer, {"messages": messages})
    assert tokenizer.count_controls(sample.input_ids) == 8
    assert trained_text(tokenizer, sample) == 'price{"plan": "<|im_end|>"}<|im_end|>Ten.<|im_end|>'
    assert {spelled.message for spelled in sample.layout.spelled} == {1, 2}


def test_markers_the_model_may_write_are_allowed_in_its_own_turns_only(
    smollm2_folder: Path, smollm2: ChatTokenizer
) -> None:
    tokenizer = Tokenizer.from_file(str(smollm2_folder / "tokenizer.json"))
    tokenizer.add_tokens(["<think>", "</think>"])
    source = smollm2.template.source + "{# <think> </think> #}"
    ours = ChatTokenizer(tokenizer, smollm2.with_chat_template(source).template, smollm2.variables, name="t")
    marker = ours.added_tokens["<think>"]
    sample = mask(ours, chat("say <think> for me", "<think>\nwhy\n</think>\n\nTen."))
    assert sample.labels.tolist().count(marker) == 1
    assert sample.input_ids.tolist().count(marker) == 1
    assert [(spelled.message, spelled.token) for spelled in sample.layout.spelled] == [(0, "<think>")]


# -- text that is hard to place ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "assistant",
        "user",
        "Hi",
        "Hi Hi Hi",
        "a\r\nb",
        "e\u0301\u0301",
        "שלום עולם",
        "zero\u200bwidth\u200d",
        "\U000f0000\U000f0001\U00100000",
        "👩‍👩‍👧‍👦 🇨🇳",
        "{{ messages }} {% raw %}",
        "系统提示:价格是100元。",
    ],
)
def test_answers_that_are_hard_to_place(smollm2: ChatTokenizer, answer: str) -> None:
    sample = mask(smollm2, chat("Hi", answer, "Hi", answer))
    assert trained_text(smollm2, sample) == f"{answer}<|im_end|>" * 2


@pytest.mark.parametrize(("answer", "rest"), [("   ", ""), ("\n\n", ""), ("\n\nHello", "\nHello")])
def test_a_token_that_begins_in_the_prompt_is_skipped_and_reported(
    smollm2: ChatTokenizer, answer: str, rest: str
) -> None:
    """The vocabulary joins the prompt's line break with the white space that begins the answer."""
    sample = mask(smollm2, chat("Hi", answer))
    straddling = sample.encoded.tokens_of(0, sample.text.rindex(answer)).stop - 1
    assert sample.encoded.ends[straddling] > sample.text.rindex(answer)
    assert sample.labels[straddling] == IGNORE_INDEX
    assert trained_text(smollm2, sample) == f"{rest}<|im_end|>"
    assert "1 tokens straddle" in run_checks(smollm2, sample)[0].detail


def test_two_answers_in_a_row_and_a_question_at_the_end(smollm2: ChatTokenizer) -> None:
    roles = ("user", "assistant", "assistant", "user")
    conversation = {"messages": [{"role": role, "content": f"text {n}"} for n, role in enumerate(roles)]}
    assert trained_text(smollm2, mask(smollm2, conversation)) == "text 1<|im_end|>text 2<|im_end|>"


def test_a_conversation_that_begins_with_the_assistant(smollm2: ChatTokenizer) -> None:
    conversation = {
        "messages": [{"role": "assistant", "content": "Welcome!"}, {"role": "user", "content": "Hi"}]
    }
    assert trained_text(smollm2, mask(smollm2, conversation)) == "Welcome!<|im_end|>"


def test_a_system_message_that_changes_mid_way(smollm2: ChatTokenizer) -> None:
    roles = ("system", "user", "assistant", "system", "user", "assistant")
    conversation = {"messages": [{"role": role, "content": f"text {n}"} for n, role in enumerate(roles)]}
    assert trained_text(smollm2, mask(smollm2, conversation)) == "text 2<|im_end|>text 5<|im_end|>"


def test_a_template_that_refuses_a_system_role_speaks_in_its_own_words(
    smollm2: ChatTokenizer, trl_templates: dict[str, str]
) -> None:
    tokenizer = smollm2.with_chat_template(trl_templates["gemma"], "gemma", trusted=True)
    with pytest.raises(MaskRefused, match="gemma cannot render this conversation: System role not supported"):
        mask_conversation(tokenizer, chat("Hi", "Hello", system="Be nice."), MaskSettings())


def test_chinese_characters_split_over_tokens_share_their_range(smollm2: ChatTokenizer) -> None:
    shown = preview(smollm2, chat("你", "龘好"), MaskSettings())[0]
    split = [token for token in shown["tokens"] if token["text"] == "龘"]
    assert len(split) >= 2
    assert len({(token["start"], token["end"]) for token in split}) == 1
    assert len({token["index"] for token in split}) == len(split)
    assert all(token["trained"] for token in split)
    assert all(shown["text"][token["start"] : token["end"]] == token["text"] for token in shown["tokens"])


# -- thinking ----------------------------------------------------------------------------------------------


def test_a_template_that_drops_earlier_thinking_says_so_and_per_turn_shows_it(
    smollm2: ChatTokenizer, trl_templates: dict[str, str]
) -> None:
    tokenizer = smollm2.with_chat_template(trl_templates["qwen3"], "qwen3", trusted=True)
    conversation = chat("Hi", "Hello", "Price?", "Ten")
    conversation["messages"][1]["reasoning_content"] = "greet"
    whole = mask_conversation(tokenizer, conversation, MaskSettings()).samples[0]
    assert trained_text(tokenizer, whole) == "Hello<|im_end|><think>\n\n</think>\n\nTen<|im_end|>"
    detail = run_checks(tokenizer, whole)[0].detail
    assert "turns 2 differently" in detail
    (red,) = [check for check in run_checks(tokenizer, whole) if not check.passed]
    assert "2: reasoning_content “greet”. Use one sample per assistant turn" in red.detail
    without = mask(tokenizer, conversation, train_reasoning=False)
    assert "2: reasoning_content “greet”" in run_checks(tokenizer, without)[-1].detail
    samples = mask_conversation(tokenizer, conversation, MaskSettings(handling="per_turn")).samples  # type: ignore[arg-type]
    assert [trained_text(tokenizer, sample) for sample in samples] == [
        "<think>\ngreet\n</think>\n\nHello<|im_end|>",
        "<think>\n\n</think>\n\nTen<|im_end|>",
    ]


@pytest.mark.parametrize("inline", [True, False])
def test_reasoning_is_trained_or_masked_by_choice(
    smollm2: ChatTokenizer, trl_templates: dict[str, str], inline: bool
) -> None:
    tokenizer = smollm2.with_chat_template(trl_templates["qwen3"], "qwen3", trusted=True)
    conversation = chat("Hi", "Hello")
    if inline:
        conversation["messages"][1]["content"] = "<think>\ngreet\n</think>\n\nHello"
    else:
        conversation["messages"][1]["reasoning_content"] = "greet"
    with_it = mask(tokenizer, conversation)
    assert trained_text(tokenizer, with_it) == "<think>\ngreet\n</think>\n\nHello<|im_end|>"
    without = mask(tokenizer, conversation, train_reasoning=False)
    assert trained_text(tokenizer, without) == "Hello<|im_end|>"
    assert without.input_ids.tolist() == with_it.input_ids.tolist()


THINKS = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.reasoning_content %}"
    "{{ '<think>\n' + m.reasoning_content + '\n</think>\n\n' }}{% endif %}"
    "{{ m.content + ('\n' if m.content and m.tool_calls else '') }}"
    "{% for c in m.tool_calls or [] %}{{ '<call>' + c.function.name + '</call>' }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LOOKING = {
    "role": "assistant",
    "content": "",
    "reasoning_content": "greet",
    "tool_calls": [{"type": "function", "function": {"name": "price", "arguments": {}}}],
}


def test_reasoning_before_a_call_is_left_out_too(smollm2: ChatTokenizer) -> None:
    """The template looks whether there are words beside the call, so only the reasoning can be marked."""
    tokenizer = smollm2.with_chat_template(THINKS, "thinks", trusted=True)
    conversation = {"messages": [{"role": "user", "content": "Hi"}, LOOKING]}
    call = "\n</think>\n\n<call>price</call><|im_end|>"
    assert trained_text(tokenizer, mask(tokenizer, conversation)) == "<think>\ngreet" + call
    assert trained_text(tokenizer, mask(tokenizer, conversation, train_reasoning=False)) == call


def test_reasoning_that_cannot_be_told_apart_is_not_trained_in_silence(smollm2: ChatTokenizer) -> None:
    source = THINKS.replace("if m.reasoning_content", "if m.reasoning_content == 'greet'")
    tokenizer = smollm2.with_chat_template(source, "compares", trusted=True)
    conversation = {"messages": [{"role": "user", "content": "Hi"}, LOOKING]}
    assert "greet" in trained_text(tokenizer, mask(tokenizer, conversation))
    with pytest.raises(MaskRefused, match="thinking of turn 2 ends under the chat template compares"):
        mask(tokenizer, conversation, train_reasoning=False)
    conversation["messages"][1] = {**LOOKING, "reasoning_content": "another thought, which is not shown"}
    assert trained_text(tokenizer, mask(tokenizer, conversation, train_reasoning=False)).startswith("<call>")


def test_tool_calls_are_the_models_to_write(smollm2: ChatTokenizer, trl_templates: dict[str, str]) -> None:
    tokenizer = smollm2.with_chat_template(trl_templates["qwen2_5"], "qwen2_5", trusted=True)
    call = {"type": "function", "function": {"name": "price", "arguments": {"plan": "basic"}}}
    tool = {
        "type": "function",
        "function": {"name": "price", "description": "d", "parameters": {"type": "object"}},
    }
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "10"},
        {"role": "assistant", "content": "Ten."},
    ]
    sample = mask(tokenizer, {"messages": messages, "tools": [tool]})
    assert '"description": "d"' in sample.text
    assert trained_text(tokenizer, sample) == (
        '<tool_call>\n{"name": "price", "arguments": {"plan": "basic"}}\n</tool_call><|im_end|>Ten.<|im_end|>'
    )
