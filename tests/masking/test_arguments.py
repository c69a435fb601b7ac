"""Arguments of the chat template reach every rendering, are kept with the settings, and are never swallowed."""

from datetime import datetime
from typing import Any

import pytest

from app.mask_checks.report import MaskReport
from app.masking import (
    IGNORE_INDEX,
    ChatTokenizer,
    MaskingError,
    MaskRefused,
    MaskSettings,
    mask_conversation,
    mask_conversations,
    run_checks,
    verify,
)
from tests.support.masks import chat, trained_text

THINKS = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' and not (enable_thinking is defined and enable_thinking) %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}{{ m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if not (enable_thinking is defined and enable_thinking) %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% endif %}"
)


DATED = (
    "{{ '<|im_start|>system\nToday is ' + strftime_now('%d %b %Y, %H:%M:%S.%f') + '.<|im_end|>\n' }}"
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def settings(**arguments: Any) -> MaskSettings:
    return MaskSettings(template_arguments=arguments)


@pytest.mark.parametrize(
    ("arguments", "thought"),
    [({}, True), ({"enable_thinking": False}, True), ({"enable_thinking": True}, False)],
)
def test_an_argument_reaches_the_conversation_and_the_generation_prompt(
    smollm2: ChatTokenizer, arguments: dict[str, Any], thought: bool
) -> None:
    tokenizer = smollm2.with_chat_template(THINKS, "thinks", trusted=True)
    sample = mask_conversation(tokenizer, chat("q", "answer", "r", "again"), settings(**arguments)).samples[0]
    assert ("<think>" in sample.text) == thought
    # the prompt writes the empty block, so it is never the model's to write
    assert trained_text(tokenizer, sample) == "answer<|im_end|>again<|im_end|>"
    assert [check.name for check in run_checks(tokenizer, sample) if not check.passed] == []


def test_ids_are_what_transformers_makes_with_the_same_arguments(smollm2: ChatTokenizer) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    tokenizer = smollm2.with_chat_template("{{ who }}{{ n }}{{ on }}" + THINKS, "greets", trusted=True)
    given = {"who": "Mei", "n": 3, "on": True, "enable_thinking": True}
    conversation = chat("q", "a")
    theirs, _ = render_jinja_template(
        [conversation["messages"]], chat_template=tokenizer.template.source, **given
    )
    sample = mask_conversation(tokenizer, conversation, settings(**given)).samples[0]
    assert sample.text == theirs[0]


def test_an_argument_the_template_never_reads_is_refused(smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template(THINKS, "thinks", trusted=True)
    with pytest.raises(MaskingError, match=r"thinks does not read the argument “thinking”.*enable_thinking"):
        mask_conversation(tokenizer, chat("q", "a"), settings(thinking=True))
    own = smollm2.with_chat_template(
        "{% for m in messages %}{{ m.content }}{% endfor %}", "own", trusted=True
    )
    with pytest.raises(MaskingError, match="“m”"):  # only a name inside the template
        mask_conversation(own, chat("q", "a"), settings(m="x"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"messages": "x"}, "set by every rendering itself"),
        ({"add_generation_prompt": True}, "set by every rendering itself"),
        ({"eos_token": "x"}, "set by every rendering itself"),
        ({"two words": 1}, "cannot be the name"),
        ({"_hidden": 1}, "cannot be the name"),
        ({"x": [1]}, "must be true, false, a number or text"),
        ({"x": None}, "must be true, false, a number or text"),
        ({"x": float("nan")}, "must be true, false, a number or text"),
        ({"x": "y" * 10_001}, "longer than"),
        ({f"x{place}": 1 for place in range(65)}, "at most 64"),
        ([("x", 1)], "names with values"),
    ],
)
def test_what_cannot_be_an_argument_is_refused(arguments: Any, words: str) -> None:
    with pytest.raises(MaskingError, match=words):
        MaskSettings(template_arguments=arguments)


def test_a_bomb_behind_an_argument_is_refused_when_it_goes_off(smollm2: ChatTokenizer) -> None:
    source = THINKS + "{% if boom is defined %}{{ 'x' | center(4000000000) }}{% endif %}"
    tokenizer = smollm2.with_chat_template(source, "armed")
    assert mask_conversation(tokenizer, chat("q", "a"), MaskSettings()).samples
    with pytest.raises(MaskRefused, match="armed did something the sandbox forbids"):
        mask_conversation(tokenizer, chat("q", "a"), settings(boom=1))


def test_the_clock_stands_still_while_renderings_are_compared(smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template(DATED, "dated", trusted=True)
    stream = [(number, chat("q", f"a{number}")) for number in range(3)]
    masked = list(mask_conversations(tokenizer, stream, MaskSettings()))
    assert len({found.samples[0].text.partition("<|im_end|>")[0] for found in masked}) == 1
    assert trained_text(tokenizer, masked[2].samples[0]) == "a2<|im_end|>"


def test_a_check_can_be_repeated_at_the_moment_it_reports(smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template(DATED, "dated", trusted=True)
    stream = [(1, chat("q", "a"))]
    first, arrays = verify(
        tokenizer, stream, MaskSettings(), moment=datetime.fromisoformat("2025-02-03T04:05:06.000007")
    )
    assert MaskReport.of(first).to_json()["moment"] == "2025-02-03T04:05:06"
    again, same = verify(
        tokenizer,
        stream,
        MaskSettings(),
        moment=datetime.fromisoformat(MaskReport.of(first).to_json()["moment"]),
    )
    assert (again.hash, same.input_ids.tolist()) == (first.hash, arrays.input_ids.tolist())
    later, _ = verify(tokenizer, stream, MaskSettings(), moment=datetime.fromisoformat("2026-02-03"))
    assert later.hash != first.hash
    plain, _ = verify(smollm2, stream, MaskSettings())
    assert MaskReport.of(plain).to_json()["moment"] is None


def test_a_report_says_with_which_arguments_it_was_made(smollm2: ChatTokenizer) -> None:
    tokenizer = smollm2.with_chat_template(THINKS, "thinks", trusted=True)
    chosen = settings(enable_thinking=True)
    report, arrays = verify(tokenizer, [(1, chat("q", "a"))], chosen)
    assert report.green
    assert MaskReport.of(report).settings.template_arguments == {"enable_thinking": True}
    assert arrays.settings == chosen
    assert int((arrays.labels != IGNORE_INDEX).sum()) == report.trained
