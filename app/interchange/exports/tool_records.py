"""One conversation as a record of another tool, or the reason why that tool cannot hold it.

openai        messages only, arguments of tool calls as text, `weight` 0 or 1 on assistant messages
axolotl       messages with `train`, for `type: chat_template`
llamafactory  {"conversations": [{"from", "value"}]}, in turns as its converter wants them
trl           {"messages"}, or {"prompt", "completion"} where only the last answer is trained

As elsewhere in this package nothing is argued: a record counts when reading it gives the conversation back.
"""

from __future__ import annotations

import json
from typing import Any

from app.dialogue.canonical import canonical_conversation
from app.dialogue.conversation import Conversation, Message, ToolCall
from app.dialogue.json_values import canonical_json
from app.dialogue.labels import LABELS
from app.dialogue.trained import with_trained
from app.interchange.exports.writing import SHAREGPT_ROLES, read_back, text_of_label
from app.interchange.records.column_map import ColumnMap
from app.interchange.sentences import exports as say
from app.interchange.sentences.problems import Trouble

_ASKS, _ANSWERS = ("human", "observation"), ("gpt", "function_call")
_LLAMAFACTORY_COLUMNS = ColumnMap(
    "sharegpt",
    {"conversations": "conversations", "tools": "tools"},
    roles={"human": "user", "gpt": "assistant", "observation": "tool"},
)


class NotCarried(Exception):
    """Internal signal: why the record cannot hold the conversation."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.code)
        self.trouble = trouble


def openai_record(conversation: Conversation) -> dict[str, Any]:
    """A canonical conversation whose flags stand on assistant messages only. Labels have no place here."""
    conversation = _with_arguments(conversation, as_text=True)
    value: dict[str, Any] = {"messages": [_openai_message(message) for message in conversation["messages"]]}
    if "tools" in conversation:
        value["tools"] = conversation["tools"]
    back = read_back(value, "messages")
    if back is None or any(back.get(key) != conversation.get(key) for key in ("messages", "tools")):
        raise NotCarried(say.NOT_CARRIED)
    return value


def _openai_message(message: Message) -> dict[str, Any]:
    plain = {key: value for key, value in message.items() if key not in ("train", "reasoning_content")}
    return {**plain, "weight": int(message["train"])} if "train" in message else plain


def axolotl_record(conversation: Conversation) -> dict[str, Any]:
    """A canonical conversation with its flags. Tools are refused: Axolotl reads them as columns of Arrow, which
    fills every tool's schema with the fields of all others."""
    if "tools" in conversation:
        raise NotCarried(say.TOOLS_NOT_CARRIED)
    conversation = _with_arguments(conversation, as_text=True, only_json=True)
    value = {"messages": conversation["messages"], **text_labels(conversation)}
    return _checked(value, conversation)


def trl_record(conversation: Conversation, *, only_last: bool) -> dict[str, Any]:
    """A canonical conversation without flags; with `only_last` its last message is what is trained."""
    messages = conversation["messages"]
    if not only_last:
        return _checked({"messages": messages, **_beside(conversation)}, conversation)
    value = {"prompt": messages[:-1], "completion": messages[-1:], **_beside(conversation)}
    return _checked(value, with_trained(conversation, {len(messages) - 1}))


def llamafactory_record(conversation: Conversation) -> dict[str, Any]:
    """A canonical conversation without flags. Ids that only say which result belongs to which call are left out where
    the order says it too, as this format has it.
    """
    conversation = _with_arguments(conversation, as_text=False, only_json=True)
    conversation = _joined_by_order(conversation)
    turns = [_llamafactory_turn(message) for message in conversation["messages"]]
    spoken = turns[1:] if turns[0]["from"] == "system" else turns
    in_order = all(turn["from"] in (_ANSWERS if place % 2 else _ASKS) for place, turn in enumerate(spoken))
    if not spoken or len(spoken) % 2 or not in_order:
        raise NotCarried(say.TURNS_NOT_IN_ORDER)
    value = {"conversations": turns, **_beside(conversation)}
    if read_back(value, "sharegpt", _LLAMAFACTORY_COLUMNS) != conversation:
        raise NotCarried(say.NOT_CARRIED)
    return value


def _joined_by_order(conversation: Conversation) -> Conversation:
    """Without the ids of calls, and without the ids and names in their results, where each call's result follows in the
    order of the calls.
    """
    messages: list[Any] = [dict(message) for message in conversation["messages"]]
    for place, message in enumerate(messages):
        calls = message.get("tool_calls")
        if not calls:
            continue
        results = []
        for later in messages[place + 1 :]:
            if later["role"] != "tool":
                break
            results.append(later)
        if len(results) != len(calls) or not all(map(_is_result_of, results, calls)):
            continue
        message["tool_calls"] = [{key: value for key, value in call.items() if key != "id"} for call in calls]
        for result in results:
            result.pop("tool_call_id", None)
            result.pop("name", None)
    return canonical_conversation({**conversation, "messages": messages})


def _is_result_of(result: Message, call: ToolCall) -> bool:
    return (
        result.get("tool_call_id") == call.get("id")
        and result.get("name", call["function"]["name"]) == call["function"]["name"]
    )


def _llamafactory_turn(message: Message) -> dict[str, Any]:
    if message.get("tool_calls") and not message["content"]:
        calls = [call.get("function") for call in message["tool_calls"]]
        return {"from": "function_call", "value": canonical_json(calls[0] if len(calls) == 1 else calls)}
    return {"from": SHAREGPT_ROLES[message["role"]], "value": message["content"]}


def _beside(conversation: Conversation) -> dict[str, str]:
    """Tools as JSON in a text, which Arrow leaves as they are, and labels."""
    tools = conversation.get("tools")
    return {**({"tools": canonical_json(tools)} if tools else {}), **text_labels(conversation)}


def text_labels(conversation: Conversation) -> dict[str, str]:
    """Every label as text, "" where unknown: the reader behind these tools (datasets, on Arrow) takes each
    column's type from the beginning of the file, where a label may happen to be unknown."""
    return {name: text_of_label(conversation, name) for name in LABELS}


def _checked(value: dict[str, Any], expected: Conversation) -> dict[str, Any]:
    if read_back(value, "messages") != canonical_conversation(expected):
        raise NotCarried(say.NOT_CARRIED)
    return value


def _with_arguments(conversation: Conversation, *, as_text: bool, only_json: bool = False) -> Conversation:
    """Arguments of tool calls as JSON text (OpenAI, Axolotl), or as the object that they spell."""
    if not any("tool_calls" in message for message in conversation["messages"]):
        return conversation
    messages = [
        {
            **message,
            "tool_calls": [_with_call_arguments(call, as_text, only_json) for call in message["tool_calls"]],
        }
        if "tool_calls" in message
        else message
        for message in conversation["messages"]
    ]
    return canonical_conversation({**conversation, "messages": messages})


def _with_call_arguments(call: ToolCall, as_text: bool, only_json: bool) -> ToolCall:
    function = call["function"]
    if "arguments" not in function:
        return call
    arguments: Any = function["arguments"]
    if isinstance(arguments, str):
        try:
            spelled = json.loads(arguments)
        except (ValueError, RecursionError):
            if only_json:
                raise NotCarried(say.ARGUMENTS_NOT_JSON) from None
            return call
        arguments = arguments if as_text else spelled
    elif as_text:
        arguments = canonical_json(arguments)
    return {**call, "function": {**function, "arguments": arguments}}
