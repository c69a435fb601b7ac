"""Records of Parquet files, and files that only look like one."""

from __future__ import annotations

import datetime
import io
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from app.interchange import ImportLimits, ParsedConversation
from tests.interchange.reading_aloud import DIALOGUE, LINE, problems, read, read_all, the_problem


def parquet(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return file.getvalue()


def test_rows_are_read_in_the_layouts_of_json() -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    other = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    rows: list[dict[str, Any]] = [{**DIALOGUE, "outcome": "won"}, {"messages": other, "outcome": None}]
    conversations = read_all(parquet(rows))
    assert [c["messages"] for c in conversations] == [DIALOGUE["messages"], other]
    assert [c["outcome"] for c in conversations] == ["won", None]
    alpaca = parquet([{"instruction": "q", "output": "a", "history": [["x", "y"]]}])
    assert len(read_all(alpaca)[0]["messages"]) == 4


def test_rows_are_counted_and_bad_ones_named() -> None:
    rows = [{"instruction": "q", "output": text} for text in ("a", "b\x00", "c")]
    assert problems(parquet(rows)) == [(2, "nul_character")]


def test_values_that_json_does_not_have_are_refused_and_other_columns_noted() -> None:
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert the_problem(parquet([{"instruction": day, "output": "a"}])).code == "parquet_value"
    (item,) = read(parquet([{**DIALOGUE, "created": day}]))
    assert isinstance(item, ParsedConversation)
    assert item.notes[0].sentence.values["fields"] == "created"


def test_a_table_without_a_dialogue_says_which_columns_it_has() -> None:
    problem = the_problem(parquet([{"a": 1, "b": 2}]))
    assert (problem.code, problem.sentence.values["found"]) == ("unknown_layout", "a, b")


@pytest.mark.parametrize("keep", [8, 60, 400])
def test_a_damaged_file_is_refused(keep: int) -> None:
    data = parquet([DIALOGUE] * 50)
    assert the_problem(data[:keep]).code == "parquet_broken"


def test_the_declared_size_is_limited() -> None:
    data = parquet([{"instruction": "x" * 10_000, "output": "a"}])
    assert the_problem(data, limits=ImportLimits(row_group_bytes=1000)).code == "parquet_too_large"
    assert the_problem(data, limits=ImportLimits(parquet_bytes=1000)).code == "parquet_too_large"


def test_the_chosen_format_must_fit_the_file() -> None:
    assert the_problem(LINE, format="parquet").code == "not_parquet"
    assert the_problem(b"PAR1" + LINE, format="csv").code == "is_parquet"
