"""What is written reads back the same: our own JSON Lines to the byte, other formats or a refusal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialogue.canonical import canonical_conversation
from app.dialogue.reading import read_conversation
from app.interchange.exports.writing import alpaca_line, csv_head, csv_rows, messages_line, sharegpt_line
from tests.dialogue.strategies import MESSAGE, PLAIN, conversations
from tests.interchange.reading_aloud import DIALOGUE, read_all

Line = Callable[[dict[str, Any]], bytes | None]
Written = tuple[bytes, list[int]]  # the file, and which conversations were left out, from 1


def messages_jsonl(values: list[dict[str, Any]]) -> bytes:
    return b"".join(messages_line(canonical_conversation(value)) for value in values)


def _written(lines: Iterable[bytes | None], head: bytes = b"") -> Written:
    found = list(lines)
    return head + b"".join(line or b"" for line in found), [
        number for number, line in enumerate(found, 1) if line is None
    ]


def in_lines(line: Line) -> Callable[[list[dict[str, Any]]], Written]:
    return lambda values: _written(line(canonical_conversation(value)) for value in values)


def as_csv(values: list[dict[str, Any]]) -> Written:
    numbered = enumerate(values, 1)
    return _written(
        (csv_rows(canonical_conversation(value), number) for number, value in numbered), csv_head()
    )


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


Writer = Callable[[list[dict[str, Any]]], Written]
WRITERS: list[tuple[Writer, str]] = [
    (in_lines(sharegpt_line), "sharegpt"),
    (in_lines(alpaca_line), "alpaca"),
    (as_csv, "csv"),
]


@pytest.mark.parametrize(("write", "format"), WRITERS)
@settings(max_examples=150, deadline=None)
@given(values=st.lists(conversations(MESSAGE) | conversations(PLAIN), min_size=1, max_size=3))
def test_other_formats_lose_nothing_or_say_which_conversation_they_left_out(
    write: Writer, format: str, values: list[dict[str, Any]]
) -> None:
    values = [read_conversation(value) for value in values]
    file, left_out = write(values)
    kept = [value for number, value in enumerate(values, 1) if number not in left_out]
    if kept:
        assert read_all(file, format=format) == kept


def test_a_dialogue_in_turns_can_be_written_in_every_format() -> None:
    value = {"messages": [{"role": "system", "content": "s"}, *DIALOGUE["messages"] * 2], "tags": ["a, b"]}
    for write, _ in WRITERS:
        assert write([value])[1] == []


def test_sharegpt_writes_tool_calls_and_train_flags() -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    messages = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "r"},
        {"role": "assistant", "content": "a", "train": False},
    ]
    line = sharegpt_line(canonical_conversation({"messages": messages}))
    assert line is not None
    turns = json.loads(line)["conversations"]
    assert [turn["from"] for turn in turns] == ["human", "function_call", "observation", "gpt"]
    assert turns[3]["train"] is False


@pytest.mark.parametrize("write", [in_lines(alpaca_line), as_csv])
def test_what_a_format_cannot_say_is_refused_and_not_dropped(write: Writer) -> None:
    named = {
        "messages": [{"role": "user", "content": "q", "name": "Bo"}, {"role": "assistant", "content": "a"}]
    }
    assert write([DIALOGUE, named])[1] == [2]


def test_csv_cells_never_begin_like_a_formula() -> None:
    value = {
        "messages": [{"role": "user", "content": "=HYPERLINK(1)"}, {"role": "assistant", "content": "-5 %"}]
    }
    file, left_out = as_csv([{**value, "stage": "@x"}])
    assert left_out == []
    cells = [cell for row in csv.reader(io.StringIO(file.decode("utf-8-sig"))) for cell in row]
    assert "'=HYPERLINK(1)" in cells
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r")]


def test_nan_and_half_characters_are_never_written() -> None:
    call = {"function": {"name": "f", "arguments": float("nan")}}
    for message in ({"role": "user", "content": "\ud800"}, {"role": "assistant", "tool_calls": [call]}):
        with pytest.raises(ValueError):
            messages_jsonl([{"messages": [message]}])
