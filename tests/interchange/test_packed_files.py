"""Workbooks and archives are read like the files they stand for, within bounds, whatever they say of themselves."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import tempfile
import zipfile
from typing import Any, BinaryIO, cast

import openpyxl
import pytest

from app.files import FULL
from app.interchange import ImportLimits, LineNote, LineProblem, ParsedConversation, read_conversations
from app.interchange.files.sheet_marks import find_marks
from app.interchange.mapping.model import DialogueMapping
from app.interchange.mapping.trying import Upload
from app.interchange.reading import Source
from tests.interchange.reading_aloud import LINE, read, read_all, the_problem
from tests.support.disks import small_disk


def workbook(*rows: list[Any], more: str | None = None, merged: tuple[str, ...] = ()) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for cells in merged:
        book.active.merge_cells(cells)
    if more:
        book.create_sheet(more).append(["x"])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def packed(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def test_a_workbook_is_read_as_the_table_on_its_first_sheet() -> None:
    data = workbook(
        [],
        ["prompt", "response", "product"],
        ["How many?", 12.0, "Pen"],
        [dt.date(2026, 3, 1), "As a date.", None],
        ["Open?", True, None],
    )
    items = [item for item in read(data) if isinstance(item, ParsedConversation)]
    assert [item.line for item in items] == [3, 4, 5]
    assert [[m["content"] for m in item.conversation["messages"]] for item in items] == [
        ["How many?", "12"],
        ["2026-03-01", "As a date."],
        ["Open?", "true"],
    ]
    assert items[0].conversation["product"] == "Pen"
    assert items[0].format == "xlsx"


def test_merged_cells_have_their_value_in_every_row_and_a_title_is_passed_over() -> None:
    data = workbook(
        ["Calls of March"],
        [],
        ["conversation_id", "role", "content"],
        ["a", "user", "Price?"],
        [None, "assistant", "Three."],
        ["b", "user", "Size?"],
        [None, "assistant", "Ten."],
        merged=("A1:C1", "A4:A5", "A6:A7"),
    )
    items = read(data)
    assert [item.said() for item in items if isinstance(item, LineNote)] == [
        "The columns are named in row 3. What stands above it was not read: “Calls of March”.",
        "Merged cells were read as if their value stood in each of their rows.",
    ]
    assert [[m["content"] for m in conversation["messages"]] for conversation in read_all(data)] == [
        ["Price?", "Three."],
        ["Size?", "Ten."],
    ]


def test_a_formula_whose_value_was_never_saved_is_named_and_one_with_a_value_is_read() -> None:
    data = workbook(
        ["prompt", "response", "tags", "note"],
        ["a", "=1+1"],
        ["b", "c", "", "=2"],
        ["d", "=CONCAT(A2)"],
        ["e", "f", "=3"],
    )
    # What stands in the column “note” is not read, so that its row comes in; the tags are.
    assert [(p.line, p.code) for p in read(data) if isinstance(p, LineProblem)] == [
        (2, "formula_unsaved"),
        (4, "formula_unsaved"),
        (5, "formula_unsaved"),
    ]
    taken = [one.conversation for one in read(data) if isinstance(one, ParsedConversation)]
    assert [one["messages"][0]["content"] for one in taken] == ["b"]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    saved = (
        parts[sheet]
        .replace(b"<v />", b"<v>7</v>")
        .replace(b"<v></v>", b"<v>7</v>")
        .replace(b"<v/>", b"<v>7</v>")
    )
    read_again = read_all(packed({**parts, sheet: saved}))
    assert [c["messages"][1]["content"] for c in read_again] == ["7", "c", "7", "f"]


def test_a_formula_without_a_value_refuses_the_row_whose_mapping_reads_its_column_and_every_row_merged_below_it() -> (
    None
):
    data = workbook(
        ["number", "ask", "reply"],
        ["=1", "a", "b"],
        ["2", "=1+1", "c"],
        ["3", None, "d"],
        ["4", "e", "f"],
        merged=("B3:B4",),
    )
    for columns, refused in (({}, [3, 4]), ({"labels": {"tags": "number"}}, [2, 3, 4])):
        mapping = DialogueMapping(turns="pairs", question="ask", answer="reply", **columns)  # type: ignore[arg-type]
        items = list(read_conversations(io.BytesIO(data), filename="a.xlsx", source=Source(mapping=mapping)))
        assert [(p.line, p.code) for p in items if isinstance(p, LineProblem)] == [
            (line, "formula_unsaved") for line in refused
        ]
        assert len([one for one in items if isinstance(one, ParsedConversation)]) == 4 - len(refused)


def test_a_row_that_its_mapping_leaves_out_is_not_refused_for_a_formula_that_nobody_reads() -> None:
    """By the filter, or as a turn of a side that is left out; what tells that has to be there."""
    data = workbook(
        ["call", "kind", "who", "words"],
        ["1", "call", "Ann", "Price?"],
        ["1", "call", "Bo", "Three."],
        ["1", "note", "Bo", "=1+1"],  # 4: filtered out
        ["1", "call", "Menu", "=1+1"],  # 5: a side that is left out
        ["=2", "note", "=3", "=1+1"],  # 6: filtered out, whatever it lacks
        ["2", "=1", "Ann", "Size?"],  # 7: nobody knows whether it is filtered out
        ["2", "call", "=1", "Ten."],  # 8: nobody knows whose it is
        ["3", "call", "Ann", "=1"],  # 9: wanted
    )
    mapping = DialogueMapping(
        turns="rows",
        conversation="call",
        side="who",
        text="words",
        sides={"Ann": "user", "Bo": "assistant", "Menu": "left_out"},
        others="left_out",
        only_column="kind",
        only_values=("call",),
    )
    items = list(read_conversations(io.BytesIO(data), filename="a.xlsx", source=Source(mapping=mapping)))
    refused = [(one.line, one.code) for one in items if isinstance(one, LineProblem)]
    assert refused == [(line, "formula_unsaved") for line in (7, 8, 9)]
    (taken,) = [one.conversation for one in items if isinstance(one, ParsedConversation)]
    assert [one["content"] for one in taken["messages"]] == ["Price?", "Three."]


def test_a_formula_without_a_value_is_no_hindrance_to_the_mapping_step_nor_to_a_mapping_that_is_certain() -> (
    None
):
    sides = ("user", "assistant")
    rows = [["=A1", str(number // 2), sides[number % 2], f"said {number}"] for number in range(8)]
    data = workbook(["memo", "talker", "sender", "msg"], *rows)
    sample = Upload(io.BytesIO(data), "a.xlsx").sample()
    assert (sample.read, sample.problems) == (8, ())
    assert [len(one["messages"]) for one in read_all(data)] == [2, 2, 2, 2]
    rows[3][3] = "=A2"
    refused = [
        one
        for one in read(workbook(["memo", "talker", "sender", "msg"], *rows))
        if isinstance(one, LineProblem)
    ]
    assert [(one.line, one.code) for one in refused] == [(5, "formula_unsaved")]


@pytest.mark.parametrize("piece", [b"<c ", b"<mergeCell ", b'r="A1" ', b'<c r="A1"><f>', b" "])
def test_a_sheet_of_a_million_beginnings_is_passed_over_like_any_other(piece: bytes) -> None:
    assert find_marks(io.BytesIO(b'<c r="A1">' + b"<c " + piece * (2_000_000 // len(piece)))).formulas == {}


@pytest.mark.parametrize(
    ("rows", "state"),
    [
        ([["Kept by the sales desk. Do not delete."]], "visible"),
        ([["Version 3"], ["Do not delete."], ["Ask Mei."]], "visible"),
        ([["prompt", "response"]], "visible"),  # columns of a form that nobody has filled in
        ([["prompt", "response"], ["won", "lost"]], "hidden"),  # what cells may be chosen from
    ],
)
def test_a_sheet_before_the_table_is_passed_over_where_it_is_none(rows: list[list[str]], state: str) -> None:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.active.sheet_state = state
    calls = book.create_sheet("Calls")
    for row in (["prompt", "response"], ["a", "b"]):
        calls.append(row)
    file = io.BytesIO()
    book.save(file)
    items = read(file.getvalue())
    assert [
        item.conversation["messages"][1]["content"] for item in items if isinstance(item, ParsedConversation)
    ] == ["b"]
    assert "The sheet “Calls” was read. Other sheets were not: Sheet." in [
        item.said() for item in items if isinstance(item, LineNote)
    ]


def test_other_sheets_are_named() -> None:
    items = read(workbook(["prompt", "response"], ["a", "b"], more="Archive"))
    assert [item.said() for item in items if isinstance(item, LineNote)] == [
        "The sheet “Sheet” was read. Other sheets were not: Archive."
    ]


@pytest.mark.parametrize("limit", [{"workbook_bytes": 1000}, {"workbook_text_bytes": 10}])
def test_a_workbook_that_unpacks_to_too_much_is_not_opened(limit: dict[str, int]) -> None:
    data = workbook(["prompt", "response"], ["a" * 100, "b" * 100])
    assert the_problem(data, limits=ImportLimits(**limit)).code == "workbook_too_large"


def test_a_row_far_below_the_others_and_broken_workbooks_end() -> None:
    whole = workbook(["prompt", "response"], ["a", "b"])
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    far = {**parts, sheet: parts[sheet].replace(b'<row r="2"', b'<row r="2000000000"')}
    assert the_problem(packed(far)).code == "no_records"
    for broken in (b"<a", b"", b'<!DOCTYPE a [<!ENTITY b "c">]><worksheet>&b;'):
        assert the_problem(packed({**parts, sheet: broken})).line == 0
        assert the_problem(packed({**parts, "xl/workbook.xml": broken})).code == "workbook_broken"


def test_gzip_is_read_like_the_file_inside() -> None:
    with tempfile.SpooledTemporaryFile() as upload:  # open for writing too, as uploads are
        upload.write(gzip.compress(LINE))
        upload.seek(0)
        (item,) = read_conversations(cast(BinaryIO, upload), filename="calls.jsonl.gz")
        assert isinstance(item, ParsedConversation)
    assert read_all(gzip.compress(LINE), filename="calls.jsonl.gz") == read_all(LINE)
    assert read_all(gzip.compress(b"prompt,response\na,b\n"), filename="calls.csv.gz")


def test_an_archive_is_read_file_by_file_and_its_problems_name_the_file() -> None:
    data = packed(
        {
            "b/two.jsonl": LINE + b"\n{}",
            "../../one.csv": "问题,回答\n能寄样品吗？,可以，先寄三种小样给您。\n".encode("gbk"),
            "__MACOSX/b/._two.jsonl": b"\x00",
            "read me.pdf": b"%PDF",
        }
    )
    items = read(data, filename="all.zip")
    assert [(type(item), item.member) for item in items] == [
        (LineNote, ""),
        (LineNote, "../../one.csv"),
        (ParsedConversation, "../../one.csv"),
        (ParsedConversation, "b/two.jsonl"),
        (LineProblem, "b/two.jsonl"),
    ]
    assert "read me.pdf" in items[0].said()  # type: ignore[union-attr]


def encrypted() -> bytes:
    data = bytearray(packed({"a.jsonl": LINE}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (gzip.compress(LINE * 50), "unpacked_too_large"),
        (packed({"a.jsonl": LINE + b"\n" * 999, "b.jsonl": LINE + b"\n" * 999}), "unpacked_too_large"),
        (packed({f"{number}.jsonl": LINE for number in range(9)}), "too_many_members"),
        (gzip.compress(LINE)[:-12], "archive_broken"),
        (packed({"a.jsonl": LINE})[:-5], "archive_broken"),
        (packed({"a.gif": b"GIF8"}), "nothing_in_archive"),
        (packed({"word/document.xml": b"x"}), "office_document"),
        (packed({"a.jsonl": gzip.compress(LINE)}), "compressed"),
        (encrypted(), "archive_encrypted"),
        (packed({f"{'folder' * 9}{number}/": b"" for number in range(99)}), "too_many_members"),
    ],
)
def test_an_archive_that_cannot_be_read_is_refused_in_one_sentence(data: bytes, code: str) -> None:
    limits = ImportLimits(file_bytes=1500, members=8, directory_bytes=9000)
    problems = [item for item in read(data, limits=limits) if isinstance(item, LineProblem)]
    assert [problem.code for problem in problems] == [code]


def test_a_full_disk_is_not_the_archives_fault() -> None:
    for data in (gzip.compress(LINE + b"\n" * 200_000), packed({"a.jsonl": LINE + b"\n" * 200_000})):
        with small_disk(100_000), pytest.raises(OSError) as full:
            read(data)
        assert full.value.errno in FULL
    start = packed({"a.jsonl": LINE}).rindex(b"PK\x05\x06")
    lying = bytearray(packed({"a.jsonl": LINE}))
    lying[start + 12 : start + 16] = (2**31).to_bytes(
        4, "little"
    )  # its directory would begin before the file
    with tempfile.TemporaryFile() as file:
        file.write(lying)
        file.seek(0)
        assert [item.code for item in read_conversations(file)] == ["archive_broken"]  # type: ignore[union-attr]
