"""The tools that an assistant may call, and its calls: read from any JSON, exact or refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn, cast

from app.dialogue import limits
from app.dialogue.conversation import FunctionCall, ToolCall, ToolDefinition
from app.dialogue.json_values import canonical_json, fault_in
from app.dialogue.refusals import (
    BAD_ARGUMENTS,
    BAD_TOOL_CALLS,
    CALL_FIELD_NOT_TEXT,
    NUMBER_NOT_STORABLE,
    TEXT_NOT_STORABLE,
    TEXT_TOO_LONG,
    TOO_DEEP,
    TOO_MANY_TOOLS,
    TOOL_DESCRIPTION,
    TOOL_NAME,
    TOOL_NOT_FUNCTION,
    TOOL_PARAMETERS,
    TOOL_REQUIRED,
    TOOL_TWICE,
    TOOLS_NOT_LIST,
    TOOLS_TOO_LARGE,
    TURN_NOT_STORABLE,
    DialogueRefused,
    Refusal,
)

_FUNCTION: Final = "function"
_BLANK_OR_CONTROL: Final = re.compile(r"[\s\x00-\x1f\x7f]")
# How deep the two lists stand: in the conversation, and in a message of its list of messages.
_TOOLS_LEVEL: Final = 2
_CALLS_LEVEL: Final = 4


def read_tools(given: Any) -> list[ToolDefinition]:
    """The tools in canonical form, [] for none. A bare {"name", "parameters"} is wrapped; what stands beside the
    known fields stays, for templates write tools out whole.

    Raises DialogueRefused naming the tool.
    """
    if given is None:
        return []
    if not isinstance(given, list):
        raise DialogueRefused(TOOLS_NOT_LIST, "tools")
    if len(given) > limits.TOOLS:
        raise DialogueRefused(TOO_MANY_TOOLS, "tools", limit=limits.TOOLS)
    if fault := fault_in(given, level=_TOOLS_LEVEL):
        refuse_value(fault, "tools")
    tools: list[ToolDefinition] = []
    names: set[str] = set()
    for place, tool in enumerate(given):
        found = _Tool(place).read(tool)
        name = found["function"]["name"]
        if name in names:
            raise DialogueRefused(TOOL_TWICE, f"tools.{place}", tool=place + 1, name=name)
        names.add(name)
        tools.append(found)
    if len(canonical_json(tools).encode()) > limits.TOOLS_BYTES:
        size = limits.spoken_size(limits.TOOLS_BYTES)
        raise DialogueRefused(TOOLS_TOO_LARGE, "tools", limit=size)
    return tools


def refuse_value(fault: str, name: str) -> NoReturn:
    """Raises DialogueRefused for what `fault_in` found in the field of this name."""
    if fault == "too_deep":
        raise DialogueRefused(TOO_DEEP, name, name=name, limit=limits.DEPTH)
    if fault == "number":
        raise DialogueRefused(NUMBER_NOT_STORABLE, name, name=name, limit=limits.NUMBER_DIGITS)
    raise DialogueRefused(TEXT_NOT_STORABLE, name, name=name)


class _Tool:
    def __init__(self, place: int) -> None:
        self._place = place

    def _refuse(self, refusal: Refusal, **values: Any) -> NoReturn:
        raise DialogueRefused(refusal, f"tools.{self._place}", tool=self._place + 1, **values)

    def read(self, tool: Any) -> ToolDefinition:
        if isinstance(tool, Mapping) and _FUNCTION not in tool and "name" in tool:
            tool = {"type": _FUNCTION, _FUNCTION: {k: v for k, v in tool.items() if k != "type"}}
        function = tool.get(_FUNCTION) if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or tool.get("type", _FUNCTION) != _FUNCTION:
            self._refuse(TOOL_NOT_FUNCTION)
        name = function.get("name")
        if not isinstance(name, str) or not _is_name(name):
            self._refuse(TOOL_NAME, limit=limits.TOOL_NAME_CHARACTERS)
        if not isinstance(function.get("description"), str | None):
            self._refuse(TOOL_DESCRIPTION)
        self._check_parameters(function.get("parameters"))
        kept = {key: value for key, value in function.items() if value is not None}
        first = {key: kept[key] for key in ("name", "description", "parameters") if key in kept}
        rest = {key: value for key, value in tool.items() if key not in ("type", _FUNCTION)}
        return cast(ToolDefinition, {"type": _FUNCTION, _FUNCTION: {**first, **kept}, **rest})

    def _check_parameters(self, schema: Any) -> None:
        if schema is None:
            return
        if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
            self._refuse(TOOL_PARAMETERS)
        if not isinstance(schema.get("properties", {}), Mapping):
            self._refuse(TOOL_PARAMETERS)
        required = schema.get("required", [])
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            self._refuse(TOOL_REQUIRED)


def _is_name(name: str) -> bool:
    return 0 < len(name) <= limits.TOOL_NAME_CHARACTERS and not _BLANK_OR_CONTROL.search(name)


def read_tool_calls(given: Any, turn: int) -> list[ToolCall]:
    """The calls of a message in canonical form, [] for none. A bare {"name", "arguments"} is wrapped.

    Raises DialogueRefused naming the turn (given from 0).
    """
    if given is None:
        return []
    if not isinstance(given, list):
        _refuse_call(BAD_TOOL_CALLS, turn)
    if fault := fault_in(given, level=_CALLS_LEVEL):
        if fault == "text":
            _refuse_call(TURN_NOT_STORABLE, turn)
        refuse_value(fault, f"messages.{turn}.tool_calls")
    return [_call(call, turn) for call in given]


def _call(call: Any, turn: int) -> ToolCall:
    if isinstance(call, Mapping) and _FUNCTION not in call and "name" in call:
        known = {key: call[key] for key in ("id", "type") if key in call}
        inner = {key: value for key, value in call.items() if key not in known}
        call = {"type": _FUNCTION, **known, _FUNCTION: inner}
    function = call.get(_FUNCTION) if isinstance(call, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        _refuse_call(BAD_TOOL_CALLS, turn)
    if not isinstance(name, str) or not name:
        _refuse_call(BAD_TOOL_CALLS, turn)
    for key, value in (("id", call.get("id")), ("type", call.get("type")), ("name", name)):
        if value is not None and not isinstance(value, str):
            _refuse_call(CALL_FIELD_NOT_TEXT, turn, name=key)
        if value is not None and len(value) > limits.NAME_CHARACTERS:
            _refuse_call(TEXT_TOO_LONG, turn, name=key, limit=limits.NAME_CHARACTERS)
    if not isinstance(function.get("arguments"), str | Mapping | None):
        _refuse_call(BAD_ARGUMENTS, turn)
    kept: dict[str, Any] = {key: value for key, value in call.items() if value is not None}
    kept[_FUNCTION] = cast(FunctionCall, {k: v for k, v in function.items() if v is not None})
    return cast(ToolCall, kept)


def _refuse_call(refusal: Refusal, turn: int, **values: Any) -> NoReturn:
    raise DialogueRefused(refusal, f"messages.{turn}.tool_calls", turn=turn + 1, **values)
