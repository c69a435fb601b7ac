"""What is written reads back the same: our own JSON Lines to the byte, other formats or a refusal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialogue.reading import read_conversation
from app.interchange import (
    WriteReport,
    write_alpaca,
    write_csv,
    write_messages_jsonl,
    write_sharegpt,
)
from tests.dialogue.strategies import MESSAGE, PLAIN, conversations
from tests.interchange.reading_aloud import DIALOGUE, read_all


def messages_jsonl(values: list[dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    assert write_messages_jsonl(values, stream) == len(values)
    return stream.getvalue()


@settings(max_examples=200, deadline=None)
@given(st.lists(conversations(MESSAGE), min_size=1, max_size=3))
def test_our_own_export_reads_back_equal_and_writes_the_same_bytes(values: list[dict[str, Any]]) -> None:
    values = [read_conversation(value) for value in values]
    data = messages_jsonl(values)
    found = read_all(data)
    assert found == values
    assert messages_jsonl(found) == data
    assert read_all(b"[" + b",".join(data.split(b"\n")[:-1]) + b"]") == found


def test_our_own_export_is_one_compact_line_with_every_label_and_characters_as_they_are() -> None:
    data = messages_jsonl([{**DIALOGUE, "stage": "报价", "id": 7}])
    assert data.endswith(
        b'"outcome":null,"stage":"' + "报价".encode() + b'","objection":null,"product":null,'
        b'"language":null,"source":null,"tags":[]}\n'
    )
    assert data.count(b"\n") == 1


Writer = Callable[[list[dict[str, Any]], BinaryIO], WriteReport]
WRITERS: list[tuple[Writer, str]] = [
    (write_sharegpt, "sharegpt"),
    (write_alpaca, "alpaca"),
    (write_csv, "csv"),
]


@pytest.mark.parametrize(("write", "format"), WRITERS)
@settings(max_examples=150, deadline=None)
@given(values=st.lists(conversations(MESSAGE) | conversations(PLAIN), min_size=1, max_size=3))
def test_other_formats_lose_nothing_or_say_which_conversation_they_left_out(
    write: Writer, format: str, values: list[dict[str, Any]]
) -> None:
    values = [read_conversation(value) for value in values]
    stream = io.BytesIO()
    report = write(values, stream)
    left_out = {problem.line for problem in report.refused}
    kept = [value for number, value in enumerate(values, 1) if number not in left_out]
    assert report.written == len(kept)
    if kept:
        assert read_all(stream.getvalue(), format=format) == kept


def test_a_dialogue_in_turns_can_be_written_in_every_format() -> None:
    value = {"messages": [{"role": "system", "content": "s"}, *DIALOGUE["messages"] * 2], "tags": ["a, b"]}
    for write, _ in WRITERS:
        report = write([value], io.BytesIO())
        assert (report.written, report.refused) == (1, [])


def test_sharegpt_writes_tool_calls_and_train_flags() -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    messages = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "r"},
        {"role": "assistant", "content": "a", "train": False},
    ]
    stream = io.BytesIO()
    assert write_sharegpt([{"messages": messages}], stream).written == 1
    turns = json.loads(stream.getvalue())["conversations"]
    assert [turn["from"] for turn in turns] == ["human", "function_call", "observation", "gpt"]
    assert turns[3]["train"] is False


@pytest.mark.parametrize("write", [write_alpaca, write_csv])
def test_what_a_format_cannot_say_is_refused_and_not_dropped(write: Writer) -> None:
    named = {
        "messages": [{"role": "user", "content": "q", "name": "Bo"}, {"role": "assistant", "content": "a"}]
    }
    report = write([DIALOGUE, named], io.BytesIO())
    assert [(problem.line, problem.code) for problem in report.refused] == [(2, "not_expressible")]
    assert report.written == 1


def test_csv_cells_never_begin_like_a_formula() -> None:
    value = {
        "messages": [{"role": "user", "content": "=HYPERLINK(1)"}, {"role": "assistant", "content": "-5 %"}]
    }
    stream = io.BytesIO()
    assert write_csv([{**value, "stage": "@x"}], stream).written == 1
    cells = [cell for row in csv.reader(io.StringIO(stream.getvalue().decode("utf-8-sig"))) for cell in row]
    assert "'=HYPERLINK(1)" in cells
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r")]


def test_nan_and_half_characters_are_never_written() -> None:
    call = {"function": {"name": "f", "arguments": float("nan")}}
    for message in ({"role": "user", "content": "\ud800"}, {"role": "assistant", "tool_calls": [call]}):
        with pytest.raises(ValueError):
            write_messages_jsonl([{"messages": [message]}], io.BytesIO())
