"""Whatever a message holds is in the rendering where it belongs, or named: over every template in reach."""

import json
from typing import Any

from app.masking import (
    ChatTokenizer,
    MaskSettings,
    mask_conversations,
    run_checks,
)
from tests.masking.house_templates import HOUSES
from tests.masking.odd_templates import ODD

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "toolname",
            "description": "tooldescription",
            "parameters": {
                "type": "object",
                "properties": {"paramname": {"type": "string", "description": "paramdescription"}},
                "required": ["paramname"],
            },
        },
    }
]
ARGUMENTS = {
    "paramname": 'quo"ted\\ 价格',
    "amount": 7319.25,
    "sure": True,
    "deep": {"inner": ["leafword", 40961]},
}
RESULT = {"role": "tool", "tool_call_id": "abcdefghi", "name": "toolname", "content": "resultwords"}
# What each field is told by in a rendering, however it is escaped there.
TELLING = {
    "call": ("toolname",),
    "argument": (
        "paramname",
        "amount",
        "7319.25",
        "sure",
        "deep",
        "inner",
        "leafword",
        "40961",
        "quo",
        "价格",
    ),
    "reasoning": ("thoughtwords",),
    "name": ("Speakername",),
    "words": ("answerwords",),
}


def _conversation(held: str) -> dict[str, Any]:
    """A trained turn that holds these fields; `text` spells the arguments as JSON in a text."""
    fields = held.split("+")
    answer: dict[str, Any] = {"role": "assistant", "content": "answerwords" if "words" in fields else ""}
    if "reasoning" in fields:
        answer["reasoning_content"] = "thoughtwords"
    if "name" in fields:
        answer["name"] = "Speakername"
    messages: list[dict[str, Any]] = [{"role": "user", "content": "questionwords"}, answer]
    if "call" not in fields:
        return {"messages": messages}
    arguments = json.dumps(ARGUMENTS, ensure_ascii=False) if "text" in fields else ARGUMENTS
    function = {"name": "toolname", "arguments": arguments}
    answer["tool_calls"] = [{"id": "abcdefghi", "type": "function", "function": function}]
    messages += [RESULT, {"role": "assistant", "content": "Done.", "train": False}]
    return {"messages": messages, **({"tools": TOOLS} if "tools" in fields else {})}


HELD = ("call", "call+text+tools", "call+words+name", "call+reasoning+tools", "words+reasoning+name")
CONVERSATIONS = {held: _conversation(held) for held in HELD}


def _missing_by_reading(text: str, answer: dict[str, Any]) -> set[str]:
    """The oracle: which fields leave no trace in the turn's own text, told by words that occur nowhere else."""
    lost = set()
    for field, words in TELLING.items():
        holds = {
            "call": "tool_calls" in answer,
            "argument": "tool_calls" in answer,
            "reasoning": "reasoning_content" in answer,
            "name": "name" in answer,
            "words": bool(answer["content"]),
        }[field]
        if holds and not all(word.casefold() in text.casefold() for word in words):
            lost.add(field)
    return lost


def _templates(trl_templates: dict[str, str]) -> dict[str, str]:
    houses = {house.name: house.source for house in HOUSES}
    return {**trl_templates, **houses, **{name: source for name, (source, _) in ODD.items()}}


def test_what_no_template_in_reach_writes_is_named_and_nothing_else(
    smollm2: ChatTokenizer, trl_templates: dict[str, str]
) -> None:
    """About ninety templates, every choice of fields; a template may refuse a conversation, but lose nothing in silence."""
    checked = red = 0
    numbered = list(enumerate(CONVERSATIONS.values()))
    for name, source in _templates(trl_templates).items():
        tokenizer = smollm2.with_chat_template(source, name, trusted=True)
        for masked in mask_conversations(tokenizer, numbered, MaskSettings()):
            if masked.refusal is not None:
                continue
            held, conversation = HELD[masked.conversation_id], CONVERSATIONS[HELD[masked.conversation_id]]
            sample = (masked.samples or masked.untrained)[0]
            turn = next(turn for turn in sample.layout.turns if turn.message == 1)
            lost = _missing_by_reading(sample.text[turn.start : turn.end], conversation["messages"][1])
            # the name may stand in the header, which is not trained
            if "name" in lost and "speakername" in sample.text[: turn.end].casefold():
                lost.remove("name")
            found = {one.what.field.value for one in sample.missing if one.what.message == 1}
            # a call that is lost is lost with its arguments
            assert found == (lost - {"argument"} if "call" in lost else lost), (name, held, sample.text)
            faults = any(one.is_fault for one in sample.missing)
            checks = {check.name: check.passed for check in run_checks(tokenizer, sample)}
            assert checks["carried"] != faults, (name, held)
            assert not lost or faults, (name, held)
            checked, red = checked + 1, red + faults
    assert checked > 400
    assert red > 200
