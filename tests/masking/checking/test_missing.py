"""The ninth check: red for what a trained turn loses, a look for what the context loses, a word for what was chosen."""

from typing import Any

import pytest

from app.masking import ChatTokenizer, Check, MaskSettings, mask_conversation, run_checks, verify
from app.masking.checking.missing import said_missing
from app.masking.samples.sample import Missing
from app.masking.turns.layout import HeldField, LeftOut
from tests.masking.turns.pieces import ASKED, CALL, CALLS, END, LOOP, PROMPT, RESULT, TURN

ANSWER = {"role": "assistant", "content": "Ten."}
THOUGHT = {**ANSWER, "reasoning_content": "Is it ten?"}
WRITES_CALLS = (
    LOOP
    + TURN.replace("'<|im_end|>", "(m.tool_calls | tojson if m.tool_calls else '') + '<|im_end|>")
    + END
    + PROMPT
)
TOOLS = [{"type": "function", "function": {"name": "price"}}]


def checked(tokenizer: ChatTokenizer, messages: Any, tools: Any = None, **settings: Any) -> list[Check]:
    conversation = {"messages": messages, **({"tools": tools} if tools else {})}
    masked = mask_conversation(tokenizer, conversation, MaskSettings(**settings))
    return [
        next(one for one in run_checks(tokenizer, sample) if one.name == "carried")
        for sample in masked.samples
    ]


def test_a_trained_turn_that_loses_something_is_red_with_what_helps(smollm2: ChatTokenizer) -> None:
    (check,) = checked(smollm2, [*ASKED, CALL, RESULT, ANSWER])
    assert not check.passed
    assert check.detail.startswith(
        "The template leaves out what is to be trained, by turn: 2: tool_calls price(of). Take"
    )
    assert check.token is not None
    (reasoning,) = checked(smollm2, [*ASKED, THOUGHT])
    assert "2: reasoning_content “Is it ten?”" in reasoning.detail
    assert "“Context only” under “Thinking”" in reasoning.detail


@pytest.mark.parametrize(
    ("turn", "settings", "named"),
    [
        ({**CALL, "train": False}, {}, "2: tool_calls price(of)"),
        ({**THOUGHT, "train": False}, {}, "2: reasoning_content “Is it ten?”"),
        (THOUGHT, {"train_reasoning": False}, "2: reasoning_content “Is it ten?”"),
        (CALL, {"train_on": "last_assistant"}, "2: tool_calls price(of)"),
    ],
)
def test_what_the_context_loses_or_the_settings_drop_is_named_only(
    turn: dict[str, Any], settings: dict[str, Any], named: str, smollm2: ChatTokenizer
) -> None:
    (check,) = checked(smollm2, [*ASKED, turn, *ASKED, ANSWER], **settings)
    assert check.passed
    assert named in check.detail


def test_the_context_that_loses_something_is_worth_a_look(smollm2: ChatTokenizer) -> None:
    lost = {"messages": [*ASKED, {**CALL, "train": False}, RESULT, ANSWER]}
    chosen = {"messages": [*ASKED, THOUGHT]}
    report, _ = verify(smollm2, [(1, lost), (2, {"messages": [*ASKED, ANSWER]})], MaskSettings())
    assert report.green
    told = [
        (number, reason.kind, reason.sentence.english()) for number, (reason,) in report.suspects.listed()
    ]
    assert told == [
        (1, "left_out", "The template leaves out of the context, by turn: 2: tool_calls price(of).")
    ]
    dropped, _ = verify(smollm2, [(1, chosen)], MaskSettings(train_reasoning=False))
    assert dropped.suspects.listed() == []
    red, _ = verify(smollm2, [(1, chosen)], MaskSettings())
    assert (red.failed, [failure.check for failure in red.failures]) == ({"carried": 1}, ["carried"])


def test_tools_that_a_trained_turn_calls_have_to_be_shown(smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template(WRITES_CALLS, "no definitions", trusted=True)
    calling = [*ASKED, CALL, RESULT, ANSWER]
    (red,) = checked(tokenizer, calling, TOOLS)
    assert (red.passed, red.detail[:80]) == (
        False,
        "Trained turns call tools that the template does not describe to the model, or no",
    )
    assert checked(tokenizer, calling)[0].passed
    (named,) = checked(tokenizer, [*ASKED, ANSWER], TOOLS)
    assert (named.passed, "tools: price" in named.detail) == (True, True)


def test_reasoning_that_only_the_last_turn_shows_wants_a_sample_a_turn(smollm2: ChatTokenizer) -> None:
    forgets = (
        LOOP + TURN.replace("m.content", "(m.thinking or '' if loop.last else '') + m.content") + END + PROMPT
    )
    tokenizer = smollm2.with_chat_template(forgets, "forgets", trusted=True)
    conversation = [*ASKED, THOUGHT, *ASKED, THOUGHT]
    (whole,) = checked(tokenizer, conversation)
    assert (whole.passed, "Use one sample per assistant turn" in whole.detail) == (False, True)
    assert [one.passed for one in checked(tokenizer, conversation, handling="per_turn")] == [True, True]
    masked = mask_conversation(tokenizer, {"messages": conversation}, MaskSettings(handling="per_turn"))  # type: ignore[arg-type]
    # as when the model is used: nothing to look at
    assert [[one.is_usual for one in sample.missing] for sample in masked.samples] == [[], [True]]


def test_an_argument_of_the_template_that_drops_reasoning_is_a_choice(smollm2: ChatTokenizer) -> None:
    thinks = (
        LOOP + TURN.replace("m.content", "('' if short else m.thinking or '') + m.content") + END + PROMPT
    )
    tokenizer = smollm2.with_chat_template(thinks, "thinks", trusted=True)
    (check,) = checked(tokenizer, [*ASKED, THOUGHT], template_arguments={"short": True})
    assert (check.passed, "Is it ten?" in check.detail) == (True, True)
    assert (
        checked(tokenizer, [*ASKED, THOUGHT])[0].detail
        == "The template writes everything that the turns hold."
    )


@pytest.mark.parametrize("words", ["10", "price"])
def test_words_that_others_repeat_do_not_stand_for_those_that_are_dropped(
    words: str, smollm2: ChatTokenizer
) -> None:
    no_words_beside_calls = (
        LOOP + TURN.replace("m.content", "('' if m.tool_calls else m.content)") + CALLS + END
    )
    calling = {**CALL, "content": "price", "tool_calls": CALL["tool_calls"]}
    tokenizer = smollm2.with_chat_template(no_words_beside_calls + PROMPT, "no words", trusted=True)
    (red,) = checked(tokenizer, [*ASKED, calling, RESULT, {**ANSWER, "content": words}])
    assert (red.passed, "2: content “price”" in red.detail) == (False, True)

    no_results = "{% for m in messages if m.role != 'tool' %}" + TURN + CALLS + END + PROMPT
    tokenizer = smollm2.with_chat_template(no_results, "no results", trusted=True)
    (named,) = checked(tokenizer, [*ASKED, CALL, RESULT, {**ANSWER, "content": f"It is {words}, not 10."}])
    assert (named.passed, "3: content “10”" in named.detail) == (True, True)


def test_a_long_list_is_cut_short() -> None:
    many = [
        Missing(LeftOut(at, HeldField.WORDS, "word " * 50), trained=True, by_choice=False) for at in range(20)
    ]
    said = said_missing(many, range(20))
    assert said.count(": content “word word") == 8
    assert said.endswith("; …")
