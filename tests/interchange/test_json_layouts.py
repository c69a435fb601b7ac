"""OpenAI messages, ShareGPT and Alpaca become one shape, as JSON Lines, as a list, or printed over lines."""

from __future__ import annotations

import json

import pytest

from app.dialogue.limits import MESSAGES
from app.interchange import ParsedConversation
from app.interchange.files.limits import ImportLimits
from tests.interchange.reading_aloud import (
    DIALOGUE,
    LINE,
    notes_of,
    problems,
    read,
    read_all,
    read_one,
    refusal_of,
    the_problem,
)

QUESTION = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}


def test_a_canonical_conversation_has_every_label_even_when_the_file_names_none() -> None:
    assert read_one(DIALOGUE) == {
        **DIALOGUE,
        "outcome": None,
        "stage": None,
        "objection": None,
        "tags": [],
        "language": "en",
        "source": None,
        "product": None,
    }


@pytest.mark.parametrize(
    "data",
    [
        LINE + b"\n" + LINE,
        LINE + b"\r\n\r\n" + LINE + b"\r\n",
        b"\xef\xbb\xbf" + LINE + b"\n" + LINE,
        b"[" + LINE + b"," + LINE + b"]",
        b" [\n" + LINE + b"\n,\n" + LINE + b"\n]\n",
        json.dumps([DIALOGUE, DIALOGUE], indent=2).encode(),
        (json.dumps(DIALOGUE, indent=4) + "\n" + json.dumps(DIALOGUE, indent=4)).encode(),
        json.dumps([DIALOGUE["messages"]] * 2).encode(),
        json.dumps([DIALOGUE["messages"]] * 2, indent=2).encode(),
        "\n\n".join([json.dumps(DIALOGUE["messages"])] * 2).encode(),
    ],
)
def test_every_frame_of_json_gives_the_same_conversations(data: bytes) -> None:
    assert [c["messages"] for c in read_all(data)] == [DIALOGUE["messages"]] * 2


def test_a_list_is_read_alike_wherever_the_chunks_of_the_stream_end(monkeypatch: pytest.MonkeyPatch) -> None:
    value = [
        {"messages": [{"role": "user", "content": 'say "\\" \\\\ [{'}, {**ANSWER, "content": "你好 ] }"}]}
    ] * 3
    data = json.dumps(value, ensure_ascii=False, indent=1)
    expected = read_all(data)
    for size in range(1, 9):
        monkeypatch.setattr("app.interchange.files.bytes_in.CHUNK_BYTES", size)
        assert read_all(data, format="messages", filename="x.json") == expected


def test_lines_and_records_are_told_for_lists_too() -> None:
    data = b"[\n" + LINE + b",\n\n" + LINE + b", " + LINE + b"]"
    assert [(item.line, item.record) for item in read(data)] == [(2, 1), (4, 2), (4, 3)]


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("human", "user"),
        ("GPT", "assistant"),
        (" Assistant ", "assistant"),
        ("developer", "system"),
        ("observation", "tool"),
        ("function", "tool"),
        ("客户", "user"),
        ("销售", "assistant"),
    ],
)
def test_role_names_of_other_tools_are_understood(name: str, role: str) -> None:
    value = {"messages": [{"role": name, "content": "x"}, ANSWER]}
    assert read_one(value)["messages"][0]["role"] == role


def test_an_unknown_role_names_its_line_its_message_and_the_role() -> None:
    bad = json.dumps({"messages": [QUESTION, {"role": "wizard", "content": "x"}]}).encode()
    problem = the_problem(LINE + b"\n" + bad)
    assert (problem.line, problem.sentence.values["message"], problem.sentence.values["role"]) == (
        2,
        2,
        "wizard",
    )
    assert "Line 2, message 2" in problem.said()
    assert "wizard" in problem.said()


def test_weight_train_and_loss_set_the_train_flag() -> None:
    flags: list[dict[str, object]] = [
        {"weight": 0},
        {"weight": 1},
        {"weight": 1.0},
        {"train": False},
        {"loss": True},
        {},
    ]
    messages = [{**ANSWER, **flag} for flag in flags]
    found = [m.get("train") for m in read_one({"messages": messages})["messages"]]
    assert found == [False, True, True, False, True, None]


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ({"weight": 0.5}, "bad_weight"),
        ({"weight": True}, "bad_weight"),
        ({"weight": [0]}, "bad_weight"),
        ({"train": "yes"}, "bad_train"),
        ({"train": 1}, "bad_train"),
        ({"train": True, "weight": 0}, "train_conflict"),
        ({"role": 7}, "unknown_role"),
        ({"role": None}, "no_role"),
        ({"role": ""}, "no_role"),
        ({"content": None}, "no_content"),
        ({"content": 3}, "content_not_text"),
        ({"content": [{"type": "image_url", "image_url": {"url": "x"}}]}, "content_part"),
        ({"content": [{"type": "tool_use", "name": "x"}]}, "content_part"),
        ({"content": [{"type": ["text"]}]}, "content_not_text"),
        ({"name": 3}, "field_not_text"),
        ({"tool_call_id": {}}, "field_not_text"),
        ({"reasoning_content": []}, "field_not_text"),
        ({"tool_calls": "f"}, "bad_tool_calls"),
        ({"tool_calls": [{"function": {}}]}, "bad_tool_calls"),
        ({"tool_calls": [3]}, "bad_tool_calls"),
        ({"role": "user", "tool_calls": [{"function": {"name": "f"}}]}, "tool_calls_role"),
    ],
)
def test_a_message_that_is_not_exact_is_refused(extra: dict[str, object], code: str) -> None:
    problem = refusal_of({"messages": [QUESTION, {**ANSWER, **extra}]})
    values = problem.sentence.values
    assert (problem.code, problem.line, values.get("message", values.get("turn"))) == (code, 1, 2)


def test_tool_calls_names_and_reasoning_are_kept_as_they_are() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "stock", "arguments": '{"sku":"A"}'}}
    messages = [
        QUESTION,
        {"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [call]},
        {"role": "tool", "content": "3", "name": "stock", "tool_call_id": "c1"},
        ANSWER,
    ]
    assert read_one({"messages": messages})["messages"] == messages


def test_null_content_is_fine_beside_tool_calls_and_old_function_calls_are_wrapped() -> None:
    old = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    message = read_one({"messages": [QUESTION, old]})["messages"][1]
    assert message["content"] == ""
    assert message["tool_calls"] == [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]


def test_text_parts_are_joined_the_way_templates_write_them() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert read_one({"messages": [{"role": "user", "content": parts}]})["messages"][0]["content"] == "ab"


def test_what_a_part_of_text_holds_besides_its_text_is_named() -> None:
    part = {"type": "text", "text": "Ten.", "annotations": [{"url": "x"}], "logprobs": []}
    record = {"messages": [{"role": "user", "content": "Size?"}, {"role": "assistant", "content": [part]}]}
    (item,) = read(json.dumps(record))
    assert isinstance(item, ParsedConversation)
    assert item.conversation["messages"][1]["content"] == "Ten."
    assert [note.said() for note in item.notes] == [
        "Line 1: these fields were not kept: messages.content.annotations."
    ]


def test_sharegpt_brings_system_tool_calls_and_observations() -> None:
    value = {
        "system": "Be kind.",
        "conversations": [
            {"from": "human", "value": "q"},
            {"from": "function_call", "value": '{"name": "f", "arguments": {"x": 1}}'},
            {"from": "observation", "value": "r"},
            {"from": "gpt", "value": "a"},
        ],
    }
    messages = read_one(value)["messages"]
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert messages[2]["tool_calls"][0]["function"] == {"name": "f", "arguments": {"x": 1}}


@pytest.mark.parametrize(
    "text", ["no json", "{}", "[]", '{"name": NaN}', "[1]", '{"name": "f", "name": "g"}']
)
def test_a_function_call_that_is_not_one_is_refused(text: str) -> None:
    problem = refusal_of({"conversations": [{"from": "function_call", "value": text}]})
    assert problem.code == "bad_function_call"


def test_alpaca_brings_history_input_and_system() -> None:
    value = {
        "system": "s",
        "history": [["q1", "a1"]],
        "instruction": "Translate",
        "input": "hello",
        "output": "你好",
    }
    assert [m["content"] for m in read_one(value)["messages"]] == [
        "s",
        "q1",
        "a1",
        "Translate\nhello",
        "你好",
    ]


def test_alpaca_without_an_answer_becomes_a_draft() -> None:
    assert notes_of({"instruction": "q", "input": "", "output": ""}) == ["no_assistant"]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"instruction": 3, "output": "x"}, "alpaca_field"),
        ({"instruction": "q", "output": ["a"]}, "alpaca_field"),
        ({"instruction": "q", "output": "a", "history": [["q"]]}, "alpaca_history"),
        ({"instruction": "q", "output": "a", "history": "x"}, "alpaca_history"),
        ({"instruction": "", "output": ""}, "empty_dialogue"),
        ({"messages": []}, "empty_dialogue"),
        ({"messages": [{"role": "user", "content": "  \n"}]}, "empty_dialogue"),
        ({"messages": {"role": "user"}}, "messages_not_list"),
        ({"messages": ["hi"]}, "message_not_object"),
        ({"conversations": None}, "messages_not_list"),
        ({"role": "user", "content": "x"}, "bare_message"),
        ({"rows": []}, "unknown_layout"),
        ({}, "unknown_layout"),
    ],
)
def test_a_record_without_a_readable_dialogue_is_refused(value: object, code: str) -> None:
    assert refusal_of(value).code == code


@pytest.mark.parametrize("line", ["3", '"text"', "null", "[1]", "true"])
def test_a_line_that_is_no_object_is_refused(line: str) -> None:
    assert problems(LINE + b"\n" + line.encode()) == [(2, "not_an_object")]


def test_mixed_layouts_are_refused_by_line_and_named() -> None:
    alpaca = b'{"instruction": "q", "output": "a"}'
    problem = the_problem(LINE + b"\n" + alpaca + b"\n" + LINE)
    assert (problem.line, problem.code) == (2, "mixed_layouts")
    assert "alpaca" in problem.said()
    assert "messages" in problem.said()


def test_a_chosen_format_that_does_not_fit_says_which_field_is_missing() -> None:
    problem = the_problem(LINE, format="sharegpt")
    assert (problem.code, problem.sentence.values["field"]) == ("wrong_layout", "conversations")


def test_an_unknown_format_name_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="unknown format"):
        read(LINE, format="yaml")


def test_the_format_found_is_told_with_every_conversation() -> None:
    (item,) = read(b'[{"conversations": [{"from": "human", "value": "q"}]}]')
    assert isinstance(item, ParsedConversation)
    assert item.format == "sharegpt"


def test_a_dialogue_without_an_assistant_comes_in_as_a_draft_with_a_note() -> None:
    assert notes_of({"messages": [QUESTION]}) == ["no_assistant"]


def test_an_empty_message_between_others_is_noted() -> None:
    assert notes_of({"messages": [QUESTION, {**ANSWER, "content": ""}]}) == ["empty_message"]


def test_fields_without_a_place_are_noted_and_not_lost_silently() -> None:
    value = {"id": 3, "seed": [{}], "messages": [QUESTION, {**ANSWER, "refusal": "x", "audio": None}]}
    (item,) = read(json.dumps(value))
    assert isinstance(item, ParsedConversation)
    assert item.notes[0].sentence.values["fields"] == "id, messages.refusal, seed"


def test_too_many_messages_and_too_many_conversations_are_refused() -> None:
    long = json.dumps({"messages": [QUESTION] * (MESSAGES + 1)})
    assert problems(long) == [(1, "too_many_messages")]
    limits = ImportLimits(conversations=2)
    short = b'{"messages": [{"role": "user", "content": "x"}]}\n'
    assert problems(short * 2, limits=limits) == []
    assert problems(short * 3, limits=limits) == [(0, "too_many_records")]


def test_a_question_called_query_with_its_history_is_read() -> None:
    value = {"query": "And the battery?", "response": "One year.", "history": [["How long?", "Two years."]]}
    assert [m["content"] for m in read_one(value)["messages"]] == [
        "How long?",
        "Two years.",
        "And the battery?",
        "One year.",
    ]


def test_lists_that_stand_as_json_in_a_text_are_read() -> None:
    messages = json.dumps(DIALOGUE["messages"])
    assert read_one({"messages": messages})["messages"] == DIALOGUE["messages"]
    table = "messages\n" + '"' + messages.replace('"', '""') + '"\n'
    (conversation,) = read_all(table, filename="export.csv")
    assert conversation["messages"] == DIALOGUE["messages"]
    assert refusal_of({"messages": "[{'role': 'user'}]"}).code == "single_quotes"
