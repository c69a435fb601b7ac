"""Arguments of tool calls in the form that a chat template writes as JSON: an object for most, a text for some.

People's files have both: OpenAI writes a text, others an object. They are the same value. A template that expects the
other form fails, or writes the text quoted once more, or an object as Python spells it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from app.masking.errors import TemplateFailed

Message = Mapping[str, Any]
Render = Callable[[Sequence[Message]], str]
_KEY, _VALUE = "qzKey", "qzValue"
_OBJECT = {_KEY: _VALUE}
_TEXT = json.dumps(_OBJECT)


class ArgumentsForm(StrEnum):
    """What a template wants to be given."""

    OBJECT = "object"
    TEXT = "text"
    EITHER = "either"


def form_wanted(render: Render) -> ArgumentsForm:
    """Which form gives JSON in the rendering of a stand-in; where both do, or neither, things stay as they are."""
    as_object, as_text = (_writes_json(render, arguments) for arguments in (_OBJECT, _TEXT))
    if as_object == as_text:
        return ArgumentsForm.EITHER
    return ArgumentsForm.OBJECT if as_object else ArgumentsForm.TEXT


def in_form(message: Message, form: ArgumentsForm) -> Message:
    """The message with the arguments of its calls in this form; what is no JSON object stays."""
    calls = message.get("tool_calls")
    if form is ArgumentsForm.EITHER or not isinstance(calls, list):
        return message
    return {**message, "tool_calls": [_call_in_form(call, form) for call in calls]}


def arguments_object(text: str) -> dict[str, Any] | None:
    """The object that a JSON text spells, None where it is something else or would lose something."""
    try:
        found = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _call_in_form(call: Any, form: ArgumentsForm) -> Any:
    if not isinstance(call, Mapping):
        return call
    if isinstance(call.get("function"), Mapping):
        return {**call, "function": _call_in_form(call["function"], form)}
    arguments = call.get("arguments")
    if form is ArgumentsForm.OBJECT and isinstance(arguments, str):
        known = arguments_object(arguments)
        return call if known is None else {**call, "arguments": known}
    if form is ArgumentsForm.TEXT and isinstance(arguments, Mapping):
        return {**call, "arguments": json.dumps(arguments, ensure_ascii=False)}
    return call


def _writes_json(render: Render, arguments: Any) -> bool:
    """Whether key and value are written, and neither quoted twice nor as Python spells a dictionary."""
    call = {
        "id": "abcdefghi",
        "type": "function",
        "function": {"name": "qzName", "arguments": arguments},
    }
    asked: list[Message] = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    ]
    answered: list[Message] = [
        *asked,
        {"role": "tool", "tool_call_id": "abcdefghi", "name": "qzName", "content": "r"},
        {"role": "assistant", "content": "a"},
    ]
    for messages in (answered, asked):
        try:
            written = render(messages)
        except TemplateFailed:
            continue
        if _KEY in written:
            odd = (f'\\"{_KEY}', f"'{_KEY}': '{_VALUE}'")
            return _VALUE in written and not any(sign in written for sign in odd)
    return False


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
