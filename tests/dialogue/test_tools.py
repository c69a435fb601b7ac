"""Tools and tool calls are exact or refused by name."""

from typing import Any

import pytest

from app.dialogue import limits
from app.dialogue.refusals import DialogueRefused
from app.dialogue.tools import read_tool_calls, read_tools

SCHEMA = {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}


def tool(name: Any = "price", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def test_a_tool_is_kept_with_all_it_says_in_one_order() -> None:
    given = {
        "function": {"strict": True, "parameters": SCHEMA, "description": "Price", "name": "price"},
        "x": 1,
    }
    (found,) = read_tools([given])
    assert found == {"type": "function", "function": given["function"], "x": 1}
    assert list(found) == ["type", "function", "x"]
    assert list(found["function"]) == ["name", "description", "parameters", "strict"]
    assert read_tools([found]) == [found]


def test_a_bare_function_is_wrapped_and_nothing_is_no_tools() -> None:
    assert read_tools([{"name": "price", "parameters": SCHEMA}]) == [tool(parameters=SCHEMA)]
    assert read_tools(None) == read_tools([]) == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("price", "tools_not_list"),
        ({"name": "price"}, "tools_not_list"),
        ([tool(str(number)) for number in range(limits.TOOLS + 1)], "too_many_tools"),
        ([3], "bad_tool"),
        ([{}], "bad_tool"),
        ([{"function": "price"}], "bad_tool"),
        ([{"type": "code", "function": {"name": "x"}}], "bad_tool"),
        ([tool(None)], "bad_tool_name"),
        ([tool("")], "bad_tool_name"),
        ([tool("two words")], "bad_tool_name"),
        ([tool("x" * (limits.TOOL_NAME_CHARACTERS + 1))], "bad_tool_name"),
        ([tool("a"), tool("a")], "tool_twice"),
        ([tool(description=3)], "bad_tool"),
        ([tool(parameters="{}")], "bad_tool_parameters"),
        ([tool(parameters={"type": "string"})], "bad_tool_parameters"),
        ([tool(parameters={"properties": []})], "bad_tool_parameters"),
        ([tool(parameters={"required": "sku"})], "bad_tool_parameters"),
        ([tool(parameters={"required": [1]})], "bad_tool_parameters"),
        ([tool(parameters={"default": float("nan")})], "number_not_storable"),
        ([tool(description="a\x00")], "text_not_storable"),
        ([tool(parameters=nested(limits.DEPTH))], "too_deep"),
        ([tool(parameters=nested(100_000))], "too_deep"),
        ([tool(description="x" * limits.TOOLS_BYTES)], "tools_too_large"),
    ],
)
def test_what_is_no_tool_is_refused(given: Any, code: str) -> None:
    with pytest.raises(DialogueRefused) as refused:
        read_tools(given)
    assert refused.value.code == code
    assert refused.value.field.startswith("tools")


def test_a_call_is_kept_and_a_bare_one_wrapped() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "price", "arguments": '{"sku": "A"}'}}
    assert read_tool_calls([call], 0) == [call]
    assert read_tool_calls([{"id": "c1", "name": "price", "arguments": {"sku": "A"}}], 0) == [
        {"type": "function", "id": "c1", "function": {"name": "price", "arguments": {"sku": "A"}}}
    ]
    assert read_tool_calls(None, 0) == read_tool_calls([], 0) == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("price", "bad_tool_calls"),
        ([3], "bad_tool_calls"),
        ([{"id": "x"}], "bad_tool_calls"),
        ([{"function": {}}], "bad_tool_calls"),
        ([{"function": {"name": ""}}], "bad_tool_calls"),
        ([{"function": {"name": 3}}], "bad_tool_calls"),
        ([{"id": 3, "function": {"name": "f"}}], "bad_tool_calls"),
        ([{"function": {"name": "f" * (limits.NAME_CHARACTERS + 1)}}], "text_too_long"),
        ([{"function": {"name": "f", "arguments": [1]}}], "bad_arguments"),
        ([{"function": {"name": "f", "arguments": {"a": float("inf")}}}], "number_not_storable"),
        ([{"function": {"name": "f", "arguments": {"a": "\ud800"}}}], "text_not_storable"),
        ([{"function": {"name": "f", "arguments": nested(300)}}], "too_deep"),
    ],
)
def test_what_is_no_call_is_refused_by_its_turn(given: Any, code: str) -> None:
    with pytest.raises(DialogueRefused) as refused:
        read_tool_calls(given, 4)
    assert (refused.value.code, refused.value.field) == (code, "messages.4.tool_calls")
