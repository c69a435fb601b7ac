"""Text in other encodings is read, by rules that always decide the same, and the encoding is told."""

from __future__ import annotations

import io
import json

import pytest

from app.interchange import LineNote, ParsedConversation, Source
from app.interchange.files.encodings import Encoding
from tests.interchange.reading_aloud import LINE, read, the_problem

CHINESE = "您好，请问这款红木餐桌多少钱？可以送货上门吗"
WESTERN = "Was kostet die Größe XL – zuzüglich Porto? 49 €"
JSON_LINE = json.dumps({"messages": [{"role": "user", "content": "%s"}]})


def line_of(text: str, encoding: str) -> bytes:
    return (JSON_LINE % text).encode(encoding)


def content_and_notes(data: bytes, encoding: Encoding = "auto") -> tuple[list[str], list[str]]:
    items = read(data, source=Source(encoding=encoding))
    contents = [i.conversation["messages"][0]["content"] for i in items if isinstance(i, ParsedConversation)]
    return contents, [item.said() for item in items if isinstance(item, LineNote)]


@pytest.mark.parametrize(
    ("codec", "text", "name"),
    [
        ("utf-16", CHINESE, "UTF-16"),
        ("utf-16-be", "Hours?", "UTF-16"),
        ("utf-16-le", "Hours?", "UTF-16"),
        ("utf-16-le", CHINESE * 40, "UTF-16"),
        ("utf-32", CHINESE, "UTF-32"),
        ("gbk", CHINESE, "GB18030"),
        ("gb18030", CHINESE + "㐀𠀀", "GB18030"),
        ("cp1252", WESTERN, "Windows-1252"),
    ],
)
def test_an_encoding_that_is_recognised_is_read_and_named(codec: str, text: str, name: str) -> None:
    data = (LINE.decode() + "\n" + JSON_LINE % text + "\n").encode(codec)
    contents, notes = content_and_notes(data)
    assert contents[1:] == [text]
    assert len(notes) == 1
    assert f"was read as {name}" in notes[0]


@pytest.mark.parametrize(
    ("codec", "text", "chosen"),
    [
        ("big5", "您好，請問多少錢", "big5"),
        ("cp1251", "Сколько стоит доставка", "windows-1251"),
        ("cp949", "안녕하세요, 배송비가 얼마입니까? 감사합니다", "euc-kr"),
        ("cp932", "送料はいくらですか", "shift-jis"),
        ("utf-16-le", CHINESE, "utf-16"),
        ("gbk", "报价", "gb18030"),
    ],
)
def test_an_encoding_that_a_person_chose_is_used_without_a_note(
    codec: str, text: str, chosen: Encoding
) -> None:
    assert content_and_notes(line_of(text, codec), chosen) == ([text], [])


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("cp1251", "Сколько стоит"),
        ("cp949", "안녕하세요, 배송비가 얼마입니까"),
        ("cp932", "いくらですか"),
        ("cp932", "こんにちは、いらっしゃいませ。カタログはこちらです"),
    ],
)
def test_what_no_rule_recognises_is_refused_by_line_and_never_guessed(codec: str, text: str) -> None:
    problem = the_problem(LINE + b"\n" + line_of(text, codec))
    assert problem.line == 2
    assert problem.code in ("not_utf8", "looks_gbk")


def test_a_table_with_few_signs_of_ascii_is_seen_to_be_utf_16_without_a_mark() -> None:
    data = f"问题,回答\n{CHINESE},{CHINESE}\n".encode("utf-16-le")
    assert content_and_notes(data)[0] == [CHINESE]


def test_lines_that_end_as_old_programs_on_a_mac_end_them_are_read() -> None:
    for data in (b"prompt,response\rHours?,Nine to five.\r", LINE + b"\r" + line_of("Hours?", "ascii")):
        assert content_and_notes(data)[0][-1] == "Hours?"


def test_a_broken_place_in_utf_8_stays_a_problem_of_its_line() -> None:
    data = line_of("Größe", "utf-8") + b"\n" + line_of("café", "latin-1")
    assert (the_problem(data).line, the_problem(data).code) == (2, "not_utf8")


def test_a_wrongly_chosen_encoding_is_told_with_the_line() -> None:
    problem = the_problem(LINE + b"\n" + line_of("Gr\xff", "latin-1"), source=Source(encoding="gb18030"))
    assert (problem.line, problem.code) == (2, "not_in_encoding")


def test_a_table_that_excel_saves_as_unicode_text_is_read() -> None:
    data = f"prompt\tresponse\n{WESTERN}\tYes.\n".encode("utf-16")
    (note, item) = read(data, filename="sheet.txt")
    assert isinstance(note, LineNote)
    assert isinstance(item, ParsedConversation)
    assert item.conversation["messages"][0]["content"] == WESTERN


def test_a_stream_that_cannot_be_read_twice_is_recognised_as_well() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    from app.interchange import read_conversations

    items = list(read_conversations(Pipe(line_of(CHINESE, "gbk"))))
    assert [type(item) for item in items] == [LineNote, ParsedConversation]
