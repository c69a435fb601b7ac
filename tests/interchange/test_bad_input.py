"""Every kind of broken file gives a sentence that says where and what, and never an exception."""

from __future__ import annotations

import io
import json
import sys
import tracemalloc
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.interchange import FORMATS, ImportLimits, LineProblem, ParsedConversation, read_conversations
from tests.interchange.reading_aloud import LINE, problems, read, the_problem


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "x")
    return file.getvalue()


def message(text: str) -> bytes:
    """A line whose content is `text` as it stands, not escaped."""
    return ('{"messages": [{"role": "user", "content": "' + text + '"}]}').encode("utf-8", "surrogatepass")


WHOLE_FILES = {
    "empty": (b"", "empty_file"),
    "only blanks": (b" \r\n\n ", "empty_file"),
    "only a byte order mark": (b"\xef\xbb\xbf", "empty_file"),
    "only a mark of UTF-16": (b"\xff\xfe", "empty_file"),
    "only a mark of UTF-32": (b"\x00\x00\xfe\xff", "empty_file"),
    "an empty list": (b"[]", "no_records"),
    "an empty zip": (b"PK\x05\x06" + b"\x00" * 18, "compressed"),
    "bzip2": (b"BZh91AY&SY", "compressed"),
    "xlsx": (zipped("[Content_Types].xml"), "office_document"),
    "docx": (zipped("word/document.xml"), "office_document"),
    "old Excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 100, "office_document"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "pdf"),
    "PNG": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "binary"),
    "SQLite": (b"SQLite format 3\x00" + b"\x10\x00", "binary"),
    "noise": (bytes(range(256)) * 4, "binary"),
    "HTML": (b"\n<!DOCTYPE html><html></html>", "markup"),
    "XML": (b"<?xml version='1.0'?><a/>", "markup"),
    "RTF": (rb"{\rtf1\ansi hello}", "markup"),
    "prose": (b"Dear team, here are our dialogues.", "unrecognised"),
    "a wrong gzip": (b"\x1f\x8bmore", "archive_broken"),
    "one line of cells": (b"a,b", "unrecognised"),
}


@pytest.mark.parametrize("name", WHOLE_FILES)
def test_a_file_of_the_wrong_kind_is_refused_with_one_sentence_about_the_file(name: str) -> None:
    data, code = WHOLE_FILES[name]
    problem = the_problem(data)
    assert (problem.line, problem.code) == (0, code)
    assert "Line 0" not in problem.said()


SECOND_LINES = {
    "half a record": (LINE[:30], "half_record"),
    "a record without its end": (LINE[:-2], "half_record"),
    "NaN": (b'{"messages": [], "x": NaN}', "not_a_number"),
    "Infinity": (b'{"messages": [], "x": -Infinity}', "not_a_number"),
    "a float that overflows": (b'{"messages": [], "x": 1e999}', "number_too_large"),
    "an integer of 5,000 digits": (b'{"x": ' + b"1" * 5000 + b"}", "number_too_long"),
    "a fraction of 5,000 digits": (b'{"x": 0.' + b"1" * 5000 + b"}", "number_too_long"),
    "double keys": (b'{"messages": [], "messages": []}', "duplicate_key"),
    "double keys deep inside": (b'{"messages": [{"role": "user", "role": "tool"}]}', "duplicate_key"),
    "100 levels of lists": (b'{"x": ' + b"[" * 100 + b"]" * 100 + b"}", "too_deep"),
    "100,000 levels": (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
    "100,000 open objects": (b'{"a":' * 100_000, "too_deep"),
    "a lone surrogate": (message("\\ud83d"), "lone_surrogate"),
    "a lone low surrogate in a key": (b'{"\\ude00": 1}', "lone_surrogate"),
    "a surrogate in the bytes": (message("\ud83d"), "not_utf8"),
    "an escaped NUL": (message("a\\u0000b"), "nul_character"),
    "a raw NUL": (message("a\x00b"), "nul_character"),
    "a raw tab": (message("a\tb"), "control_character"),
    "single quotes": (b"{'messages': []}", "single_quotes"),
    "two records on a line": (LINE + b" " + LINE, "several_values"),
    "a trailing comma": (LINE + b",", "several_values"),
    "no comma": (b'{"messages": [] "x": 1}', "not_json"),
    "prose": (b"and so on", "not_json"),
    "a bad escape": (message("\\x"), "not_json"),
}


@pytest.mark.parametrize("name", SECOND_LINES)
def test_a_bad_line_is_named_and_the_good_ones_around_it_are_read(name: str) -> None:
    data, code = SECOND_LINES[name]
    items = read(LINE + b"\n" + data + b"\n" + LINE + b"\n")
    assert isinstance(items[0], ParsedConversation)
    assert isinstance(items[1], LineProblem)
    assert (items[1].line, items[1].code) == (2, code)
    assert "2" in items[1].said()
    assert isinstance(items[2], ParsedConversation)


@pytest.mark.parametrize("name", [n for n in SECOND_LINES if n not in ("half a record", "prose")])
def test_a_bad_line_is_refused_when_it_is_the_only_one_too(name: str) -> None:
    data, _ = SECOND_LINES[name]
    assert the_problem(data, filename="x.jsonl").line == 1


SPOILT_LISTS = {
    "cut inside a record": (b"[\n" + LINE + b",\n" + LINE[:20], 3, "half_record"),
    "not closed": (b"[\n" + LINE + b",\n" + LINE, 3, "list_unfinished"),
    "comma at the end": (b"[\n" + LINE + b",\n]", 3, "list_broken"),
    "two commas": (b"[" + LINE + b",\n," + LINE + b"]", 2, "list_broken"),
    "no comma": (b"[" + LINE + b"\n" + LINE + b"]", 2, "list_broken"),
    "a number inside": (b"[" + LINE + b",\n3]", 2, "list_of_others"),
    "nothing but texts": (b'["a", "b"]', 1, "list_of_others"),
    "NaN inside a record": (b"[" + LINE + b',\n{"x": NaN}\n]', 2, "not_a_number"),
    "text after the end": (b"[" + LINE + b"]\nmore", 2, "list_trailing"),
    "a second list": (b"[" + LINE + b"]\n[" + LINE + b"]", 2, "list_trailing"),
    "only a bracket": (b"[", 1, "list_unfinished"),
    "100,000 brackets": (b"[" * 100_000, 1, "half_record"),
}


@pytest.mark.parametrize("name", SPOILT_LISTS)
def test_a_spoilt_list_gives_what_came_before_and_then_one_problem(name: str) -> None:
    data, line, code = SPOILT_LISTS[name]
    problem = the_problem(data)
    assert (problem.line, problem.code) == (line, code)


def test_a_bad_record_in_a_list_does_not_spoil_the_next_one() -> None:
    items = read(b"[" + LINE + b',\n{"a": 1, "a": 2},\n' + LINE + b"]")
    assert [type(item) for item in items] == [ParsedConversation, LineProblem, ParsedConversation]


def test_a_fault_inside_a_record_over_several_lines_is_told_with_its_own_line() -> None:
    text = json.dumps([json.loads(LINE)], indent=1).replace('"content":', '"content"', 1)
    assert problems(text) == [(6, "not_json")]


def test_a_file_over_the_limit_is_refused_while_it_is_read() -> None:
    problem = the_problem(LINE * 100, limits=ImportLimits(file_bytes=1024))
    assert (problem.line, problem.code) == (0, "file_too_large")
    assert "1 KB" in problem.said()


@pytest.mark.parametrize("frame", [b"%s\n%s\n%s", b"[%s,\n%s,\n%s]"])
def test_a_giant_record_is_refused_by_line_and_the_next_one_is_read(frame: bytes) -> None:
    giant = message("x" * 2000)
    items = read(frame % (LINE, giant, LINE), limits=ImportLimits(record_bytes=1000))
    assert isinstance(items[1], LineProblem)
    assert (items[1].line, items[1].code) == (2, "record_too_long")
    assert isinstance(items[2], ParsedConversation)


class Endless(io.RawIOBase):
    """A stream that goes on for `size` bytes without ever being held."""

    def __init__(self, start: bytes, filler: bytes, size: int) -> None:
        self._start, self._filler, self._left = start, filler, size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert size > 0
        piece = (self._start or self._filler * (size // len(self._filler)))[:size]
        self._start = self._start[size:]
        self._left -= len(piece)
        return piece if self._left > 0 else b""


@pytest.mark.parametrize(
    ("start", "filler"),
    [
        (b'{"messages": "', b"x"),
        (b'[{"messages": "', b"x"),
        (b"[" + LINE, b","),
        (b"[", b"[" + b" " * 20),
        (b"[", b" "),
        (b'{"x": 1}\n', b" " * 200 + b"\n"),
        (b"prompt,response\n", b"x"),
        (b'prompt,response\n"', b"x" * 200 + b"\n"),
        (b"prompt,response\n", b"a,"),
    ],
)
def test_memory_stays_bounded_however_long_a_record_is(start: bytes, filler: bytes) -> None:
    limits = ImportLimits(record_bytes=50_000, file_bytes=1 << 30)
    tracemalloc.start()
    for _ in read_conversations(Endless(start, filler, 2_000_000), limits=limits):  # type: ignore[arg-type]
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_long_list_is_streamed_and_not_loaded() -> None:
    stream = Endless(b"[" + LINE, b"," + LINE, 1_000_000)
    tracemalloc.start()
    count = sum(isinstance(item, ParsedConversation) for item in read_conversations(stream))  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count > 4_000
    assert peak < 500_000


def test_blank_lines_count_against_the_limit_of_lines() -> None:
    assert problems(LINE + b"\n" * 20, limits=ImportLimits(lines=10)) == [(0, "too_many_lines")]


def test_a_record_that_never_ends_is_given_up() -> None:
    problem = the_problem(b"[" + LINE + b',\n{"x": "' + b"[" * 10_000, limits=ImportLimits(record_bytes=500))
    assert (problem.line, problem.code) == (2, "endless_record")


def test_a_recursion_limit_that_is_almost_used_up_still_gives_a_problem() -> None:
    def deeper(levels: int) -> list[tuple[int, str]]:
        return deeper(levels - 1) if levels else problems(b'{"x": ' + b"[" * 900 + b"]" * 900 + b"}")

    assert deeper(sys.getrecursionlimit() // 2) == [(1, "too_deep")]


def test_names_of_fields_and_roles_are_shown_without_control_characters() -> None:
    data = json.dumps({"messages": [{"role": "\x1b[31m" + "x" * 100, "content": "x"}]})
    sentence = the_problem(data).said()
    assert sentence.isprintable()
    assert len(sentence) < 200


FRAGMENTS = [
    *[data for data, _ in WHOLE_FILES.values()],
    *[data for name, (data, _) in SECOND_LINES.items() if len(data) < 1000],
    *[data for name, (data, *_) in SPOILT_LISTS.items() if len(data) < 1000],
    LINE,
    b"conversation_id,role,content,train\n1,user,x,\n",
    b"prompt;response\nx;y\n",
    b'"',
    b"\n",
    b"[",
    b",",
    b"\xef\xbb\xbf",
    b"PAR1",
    "您好".encode("gbk"),
]


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(FRAGMENTS), max_size=6).map(b"".join)),
    st.sampled_from(FORMATS),
    st.sampled_from([None, "a.csv", "a.jsonl", "a.txt"]),
)
def test_arbitrary_bytes_never_raise_and_always_give_an_answer(
    data: bytes, format: str, filename: str | None
) -> None:
    items = read(data, format=format, filename=filename)
    assert items
    for item in items:
        if isinstance(item, LineProblem):
            assert item.line >= 0
            assert "%(" not in item.said()
        elif isinstance(item, ParsedConversation):
            json.dumps(item.conversation, ensure_ascii=False, allow_nan=False).encode()


FIELDS = [
    "messages",
    "conversations",
    "instruction",
    "output",
    "history",
    "role",
    "from",
    "content",
    "value",
    "tool_calls",
    "function",
    "name",
    "weight",
    "train",
    "tags",
    "outcome",
    "language",
    "metadata",
]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(JSON_VALUES, st.sampled_from(FORMATS[:4]))
def test_arbitrary_json_never_raises(value: object, format: str) -> None:
    data = json.dumps([value] if format == "auto" else value)
    for item in read(data, format=format, filename="x.jsonl"):
        if isinstance(item, ParsedConversation):
            json.dumps(item.conversation, ensure_ascii=False, allow_nan=False).encode()


class Unreadable(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        raise OSError("disk")


def test_an_error_of_the_stream_itself_is_not_swallowed() -> None:
    with pytest.raises(OSError, match="disk"):
        list(read_conversations(Unreadable()))  # type: ignore[arg-type]
