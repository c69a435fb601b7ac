"""What a template leaves out is told, wherever it hides; what it writes in its own way is not."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from app.masking import ChatTokenizer
from app.masking.turns.locate import locate
from tests.masking.turns.pieces import ASKED, CALLS, END, LOOP, PROMPT, RESULT, TURN

LeftOut = Callable[..., list[tuple[int | None, str, str]]]
HEAD = LOOP + "{{ '<|im_start|>' + m.role + '\n' }}"
CALL_OF = "{% for c in m.tool_calls or [] %}{% set f = c.function %}"


@pytest.fixture
def left_out(smollm2: ChatTokenizer) -> LeftOut:
    def found(source: str, messages: Any, tools: Any = None) -> list[tuple[int | None, str, str]]:
        tokenizer = smollm2.with_chat_template(source, "one", trusted=True)
        layout = locate(tokenizer, messages, tools)
        return [(one.message, one.field.value, one.text) for one in layout.left_out]

    return found


def calling(*calls: tuple[str, Any], content: str = "", **more: Any) -> list[dict[str, Any]]:
    listed = [
        {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for at, (name, arguments) in enumerate(calls)
    ]
    return [*ASKED, {"role": "assistant", "content": content, "tool_calls": listed, **more}]


def chatml(inside: str) -> str:
    return HEAD + "{{ m.content }}" + inside + "{{ '<|im_end|>\n' }}" + END + PROMPT


# How a template may write arguments in full -> what it does inside the turn.
WAYS = {
    "as JSON": "{{ '<call>' + f.name + f.arguments | tojson + '</call>' }}",
    "as JSON with escapes": "{{ '<call>' + f.name + f.arguments | tojson(ensure_ascii=True) + '</call>' }}",
    "pair by pair": "{{ '<call>' + f.name }}{% for k, v in f.arguments.items() %}{{ '\n' ~ k ~ ': ' ~ v | tojson }}{% endfor %}</call>",
    "in capitals": "{{ '<call>' ~ (f.name ~ f.arguments | tojson) | upper ~ '</call>' }}",
    "sorted": "{{ '<call>' + f.name }}{% for k, v in f.arguments | dictsort %}{{ k ~ '=' ~ v | tojson }}{% endfor %}</call>",
    "texts as they are": "{{ '<call>' + f.name }}{% for k, v in f.arguments.items() %}{{ k ~ ':' }}"
    "{{ v if v is string else v | tojson }}{% endfor %}</call>",
    "only calls of tools that are known": "{% for t in tools if t.function.name == f.name %}"
    "{{ f.name + f.arguments | tojson }}{% endfor %}",
}
VALUES = {
    "of": 'a "b"\\ \n价格 <x>',
    "count": 12,
    "price": -0.5,
    "floor2": 2,
    "yes": True,
    "no": False,
    "none": None,
    "list": [1, "two", [3, {"deep": 4}]],
    "empty": "",
}


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("spelled", [False, True], ids=["object", "text"])
def test_what_is_written_is_found_however_it_is_written(way: str, spelled: bool, left_out: LeftOut) -> None:
    source = "{% if tools %}{{ tools | tojson }}{% endif %}" + chatml(CALL_OF + WAYS[way] + "{% endfor %}")
    arguments = json.dumps(VALUES, ensure_ascii=False) if spelled else VALUES
    tools = [{"type": "function", "function": {"name": "price"}}]
    messages = [*calling(("price", arguments), ("price", {"of": "c"})), RESULT]
    assert left_out(source, messages, tools) == []


# What a template loses -> what it writes of a call, and what is told.
LOSSES: dict[str, tuple[str, list[tuple[int, str, str]]]] = {
    "everything": ("", [(1, "call", "price(of, count, sure)"), (1, "call", "price(of)")]),
    "the arguments": (
        "{{ f.name }}",
        [(1, "argument", "price(of, count, sure)"), (1, "argument", "price(of)")],
    ),
    "the names": ("{{ f.arguments | tojson }}", [(1, "call", "price"), (1, "call", "price")]),
    "the values": (
        "{{ f.name }}{% for k in f.arguments %}{{ ' ' ~ k }}{% endfor %}",
        [(1, "argument", "price(of, count, sure)"), (1, "argument", "price(of)")],
    ),
    "the keys": (
        "{{ f.name }}{% for v in f.arguments.values() %}{{ ' ' ~ v | tojson }}{% endfor %}",
        [(1, "argument", "price(of, count, sure)"), (1, "argument", "price(of)")],
    ),
    "numbers": (
        "{{ f.name }}{% for k, v in f.arguments.items() %}{{ k ~ ':' ~ (v if v is string else '') }}{% endfor %}",
        [(1, "argument", "price(count, sure)")],
    ),
    "every call but the first": (
        "{% if loop.first %}{{ f.name ~ f.arguments | tojson }}{% endif %}",
        [(1, "call", "price(of)")],
    ),
}


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_what_is_lost_of_calls_is_told_by_name(loss: str, left_out: LeftOut) -> None:
    inside, expected = LOSSES[loss]
    messages = calling(("price", {"of": "a", "count": 12, "sure": True}), ("price", {"of": "b"}))
    assert left_out(chatml(CALL_OF + inside + "{% endfor %}"), messages) == expected


def test_what_stands_outside_its_own_turn_is_left_out_of_it(left_out: LeftOut) -> None:
    """A call that the template writes before the model's turn is not the model's to write."""
    source = (
        "{% for m in messages %}"
        + CALL_OF
        + "{{ f.name ~ f.arguments | tojson }}{% endfor %}{% endfor %}"
        + chatml("")
    )
    told = left_out(source, calling(("price", {"of": "a"}), content="Let me look."))
    assert told == [(1, "call", "price(of)")]


def test_reasoning_names_and_words_are_told_as_they_were_said(left_out: LeftOut) -> None:
    thinking = {"reasoning_content": "  First the floor. ", "thinking": "  First the floor. "}
    answer = {"role": "assistant", "content": "Ten a month.", "name": "Bo", **thinking}
    messages = [{**ASKED[0], "name": "Ana"}, answer]
    assert left_out(chatml(""), messages) == [
        (0, "name", "Ana"),
        (1, "name", "Bo"),
        (1, "reasoning", "First the floor."),
    ]
    named = (
        HEAD.replace("m.role", "m.role ~ ' ' ~ m.name")
        + "{{ m.thinking or '' }}{{ m.content }}{{ '<|im_end|>\n' }}"
        + END
    )
    assert left_out(named + PROMPT.replace("assistant", "assistant Bo"), messages) == []


@pytest.mark.parametrize(
    ("writes", "told"),
    [
        ("m.content", []),
        ("m.content | upper", []),
        ("m.content | tojson", []),
        ("m.content | replace(' ', '_')", []),
        ("m.content[:9]", [(1, "words", "month, or twelve.")]),
        ("m.content.split('a ')[0]", [(1, "words", "month, or twelve.")]),
    ],
)
def test_words_that_are_cut_off_are_told(writes: str, told: list[Any], left_out: LeftOut) -> None:
    source = (
        HEAD
        + "{% if m.role == 'assistant' %}{{ "
        + writes
        + " }}{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>\n' }}"
    )
    messages = [*ASKED, {"role": "assistant", "content": "Ten is a month, or twelve."}]
    assert left_out(source + END + PROMPT, messages) == told


def test_thinking_inside_the_text_that_is_dropped_is_reasoning(left_out: LeftOut) -> None:
    source = HEAD + "{{ m.content.split('</think>')[-1].strip() }}{{ '<|im_end|>\n' }}" + END + PROMPT
    messages = [*ASKED, {"role": "assistant", "content": "<think>\nIs it ten?\n</think>\n\nTen."}]
    assert left_out(source, messages) == [(1, "reasoning", "Is it ten?")]


def test_a_message_that_is_not_shown_is_left_out_with_its_words(left_out: LeftOut) -> None:
    source = "{% for m in messages if m.role != 'system' %}" + TURN + END + PROMPT
    told = left_out(
        source, [{"role": "system", "content": "Be brief."}, *ASKED, {"role": "assistant", "content": "Ten."}]
    )
    assert told == [(0, "words", "Be brief.")]


def test_tools_are_told_part_by_part(left_out: LeftOut) -> None:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where to", "enum": ["Faro", "Porto"]},
            "box": {"type": "object", "properties": {"kg": {"type": "number"}}},
        },
        "required": ["city"],
    }
    tools = [
        {"type": "function", "function": {"name": "quote", "description": "A fee", "parameters": schema}}
    ]
    messages = [*ASKED, {"role": "assistant", "content": "Ten."}]
    everything = "quote(description, city, city.description, city.enum, box, box.kg)"
    assert left_out(chatml(""), messages, tools) == [(None, "tool", everything)]
    assert left_out("{{ tools | tojson }}" + chatml(""), messages, tools) == []
    assert left_out("{{ tools | tojson(ensure_ascii=True, indent=1) }}" + chatml(""), messages, tools) == []
    names = "{% for t in tools %}{{ t.function.name }}{% endfor %}"
    assert left_out(names + chatml(""), messages, tools) == [(None, "tool", everything)]


def test_ids_and_the_name_of_a_results_tool_only_join_messages(left_out: LeftOut) -> None:
    messages = [*calling(("price", {"of": "a"})), RESULT, {"role": "assistant", "content": "Ten."}]
    assert left_out(chatml(CALLS), messages) == []
    nameless = [
        *ASKED,
        {"role": "assistant", "content": "Hm."},
        {**RESULT, "name": "other"},
        {"role": "assistant", "content": "Ten."},
    ]
    assert left_out(chatml(""), nameless) == [(2, "name", "other")]


def test_what_the_last_turn_alone_shows_says_so(smollm2: ChatTokenizer) -> None:
    source = chatml("{% if loop.last %}{{ m.thinking or '' }}{% endif %}")
    answer = {"role": "assistant", "content": "Ten.", "reasoning_content": "hm", "thinking": "hm"}
    tokenizer = smollm2.with_chat_template(source, "forgets", trusted=True)
    (lost,) = locate(tokenizer, [*ASKED, answer, *ASKED, answer]).left_out
    assert (lost.message, lost.field, lost.shown_last) == (1, "reasoning", True)
    (never,) = locate(smollm2, [*ASKED, answer, *ASKED]).left_out
    assert not never.shown_last
