"""The pieces of messages and tools, and copies with marks in them."""

import json

from app.masking.turns.layout import HeldField
from app.masking.turns.planting import pieces_of, planted, words_of

ARGUMENTS = {"of": "a\\b", "n": [1, True, None], "in": {'e"e': "\n"}}


def test_arguments_have_the_same_pieces_as_an_object_and_as_text() -> None:
    def pieces(arguments: object) -> list[tuple[str, str, bool]]:
        call = {"function": {"name": "price", "arguments": arguments}}
        message = {"role": "assistant", "content": "", "tool_calls": [call]}
        return [(one.text, one.label, bool(one.spots)) for one in pieces_of([message], None)][1:]

    as_object = pieces(ARGUMENTS)
    assert as_object == [
        ("of", "of", True),
        ("a\\b", "of", True),
        ("n", "n", True),
        ("1", "n", False),
        ("true", "n", False),
        ("in", "in", True),
        ('e"e', 'in.e"e', True),
    ]
    as_text = pieces(json.dumps(ARGUMENTS))
    assert [text for text, _, _ in as_text if text.strip()] == [text for text, _, _ in as_object]
    assert pieces("no JSON") == [("no JSON", "no JSON", True)]


def test_a_copy_has_its_marks_and_nothing_else_is_new() -> None:
    call = {"id": "c", "function": {"name": "price", "arguments": json.dumps({"of": 'a"b'})}}
    bare = {"name": "price", "arguments": {"of": ["a", 1], "n": 2}}
    messages = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "", "tool_calls": [call, bare], "reasoning_content": " hm "},
    ]
    pieces = [one for one in pieces_of(messages, None) if one.spots]
    marks = {spot: "|" for piece in pieces for spot in piece.spots}
    copy = planted(messages, marks)
    assert copy[1]["reasoning_content"] == " h|m "
    assert copy[1]["tool_calls"] == [
        {"id": "c", "function": {"name": "pri|ce", "arguments": json.dumps({"of|": 'a"b|'})}},
        {"name": "pri|ce", "arguments": {"o|f": ["a|", 1], "n|": 2}},
    ]
    assert copy[0] is messages[0]
    assert planted(messages, {}) == messages


def test_a_parameter_is_marked_where_it_is_required_too() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [{"type": "function", "function": {"name": "quote", "parameters": schema}}]
    pieces = pieces_of([], tools)
    marks = {spot: "|" for piece in pieces for spot in piece.spots}
    assert all(spot.in_tools for spot in marks)
    parameters = planted(tools, marks)[0]["function"]["parameters"]
    assert (list(parameters["properties"]), parameters["required"]) == (["ci|ty"], ["ci|ty"])


def test_words_are_the_whole_text_but_for_the_markers_of_thinking() -> None:
    text = "<think>why so</think>because 价格" + " x" * 1000
    thought = words_of(0, text, thinks=True)
    assert "".join(one.text for one in thought if one.field is HeldField.REASONING) == "why so"
    assert "".join(one.text for one in thought if one.field is HeldField.WORDS) == text.split("</think>")[1]
    assert len(thought) < 300
    assert "".join(one.text for one in words_of(0, text, thinks=False)) == text
