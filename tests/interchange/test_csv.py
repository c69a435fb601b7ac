"""CSV: which columns are read, how rows become conversations, what a broken row does to its neighbours."""

from __future__ import annotations

import pytest

from app.dialogue.limits import MESSAGES
from app.interchange import ImportLimits, LineNote, LineProblem, ParsedConversation
from app.interchange.files.formulas import defuse, restore
from tests.interchange.reading_aloud import problems, read, read_all, the_problem

HEADER = "conversation_id,role,content\n"


def test_rows_of_a_conversation_are_gathered_with_their_labels_and_flags() -> None:
    data = (
        "conversation_id,role,content,train,outcome,tags\n"
        "a,customer,How much?,,won,price\n"
        "a,sales,For whom?,false,,\n"
        "b,user,你好,,,\n"
        "b,assistant,您好,是,丢单,\n"
    )
    first, second = read_all(data)
    assert first["messages"] == [
        {"role": "user", "content": "How much?"},
        {"role": "assistant", "content": "For whom?", "train": False},
    ]
    assert (first["outcome"], first["tags"], second["outcome"]) == ("won", ["price"], "lost")
    assert second["messages"][1]["train"] is True


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_prompt_and_response_make_a_conversation_per_row(delimiter: str, end: str) -> None:
    data = "\ufeff" + delimiter.join(["Prompt", "Response", "system"]) + end + delimiter.join("qas") + end
    (conversation,) = read_all(data)
    assert [m["content"] for m in conversation["messages"]] == ["s", "q", "a"]


def test_chinese_headers_are_understood() -> None:
    (conversation,) = read_all("对话编号,角色,内容,产品\n1,客户,你好,水泵\n1,销售,您好,\n")
    assert conversation["product"] == "水泵"


def test_quoted_cells_keep_their_line_breaks_and_lines_are_still_counted() -> None:
    data = HEADER + '1,user,"two\r\nlines ""quoted"""\n1,wizard,x\n'
    problem = the_problem(data)
    assert (problem.line, problem.sentence.values["message"]) == (4, 2)
    assert read_all(data.replace("wizard", "gpt"))[0]["messages"][0]["content"] == 'two\nlines "quoted"'


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (HEADER, (0, "no_records")),
        (HEADER + "1,user,a,b\n", (2, "csv_cells")),
        (HEADER + ",user,a\n", (2, "csv_no_id")),
        (HEADER + '1,user,"a\n', (2, "csv_unfinished")),
        (HEADER + '1,user,"a"b\n', (2, "csv_broken")),
        (HEADER + "1,user," + "x" * 140_000, (2, "csv_cell_too_long")),
        (HEADER + "1,user,a\x00b\n", (2, "nul_character")),
        (HEADER + "1,wizard,a\n", (2, "unknown_role")),
        (HEADER + "1,,a\n", (2, "no_role")),
        (HEADER + "1,user,\n", (2, "empty_dialogue")),
        ("conversation_id,role,content,text\n1,user,a,b\n", (1, "csv_duplicate_column")),
        ('conversation_id,role,"content\n1,user,a\n', (1, "csv_unfinished")),
    ],
)
def test_a_csv_file_that_cannot_be_read_says_where(data: str, expected: tuple[int, str]) -> None:
    problem = the_problem(data)
    assert (problem.line, problem.code) == expected


def test_unknown_columns_are_listed_when_csv_was_chosen() -> None:
    problem = the_problem("foo;bar\n1;2\n", format="csv")
    assert (problem.line, problem.code, problem.sentence.values["found"]) == (1, "csv_columns", "foo, bar")
    assert the_problem("foo;bar\n1;2\n", filename="A.CSV").code == "csv_columns"


def test_a_train_cell_that_is_neither_yes_nor_no_is_refused_on_its_row() -> None:
    data = "conversation_id,role,content,train\n1,user,a,\n1,assistant,b,maybe\n"
    assert problems(data) == [(3, "bad_train")]


def test_a_conversation_that_comes_back_later_is_refused() -> None:
    assert problems(HEADER + "1,user,a\n2,user,b\n1,assistant,c\n") == [(4, "csv_scattered")]


def test_a_row_that_cannot_be_read_takes_the_conversations_it_may_belong_to_with_it() -> None:
    data = HEADER + "1,user,a\n,user,lost\n2,user,b\n3,user,c\n"
    items = read(data)
    assert [(i.line, i.code) for i in items if isinstance(i, LineProblem)] == [
        (3, "csv_no_id"),
        (2, "csv_incomplete"),
        (4, "csv_incomplete"),
    ]
    assert [i.line for i in items if isinstance(i, ParsedConversation)] == [5]


def test_a_conversation_of_too_many_or_too_long_rows_is_refused_whole() -> None:
    rows = HEADER + "1,user,abc\n" * (MESSAGES + 2) + "2,user,a\n"
    assert problems(rows) == [(2, "too_many_messages")]
    assert problems(rows, limits=ImportLimits(record_bytes=30)) == [(2, "record_too_long")]


def test_columns_without_a_meaning_are_noted() -> None:
    (item,) = read("prompt,response,messages,score\nq,a,x,5\n")
    assert isinstance(item, ParsedConversation)
    assert item.notes[0].sentence.values["fields"] == "“messages”, “score”"


@pytest.mark.parametrize("cell", ["=1+1", "+x", "-x", "@x", "\tx", "\rx", " =x", "＝x", "－x", "'=x", "''@x"])
def test_a_formula_is_defused_and_comes_back(cell: str) -> None:
    assert defuse(cell) == "'" + cell
    assert restore(defuse(cell)) == cell


@pytest.mark.parametrize("cell", ["", "plain", "'quoted'", "a=b", "你好", "3-4"])
def test_a_harmless_cell_is_left_alone(cell: str) -> None:
    assert defuse(cell) == restore(cell) == cell


@pytest.mark.parametrize(
    ("above", "notes"),
    [
        ("", []),
        ("\n\n", []),
        ("sep=;\n", []),
        (";;\n\n", []),
        (
            "Calls of March;;\n\n",
            ["The columns are named in row 3. What stands above it was not read: “Calls of March”."],
        ),
    ],
)
def test_what_stands_above_the_columns_is_passed_over_and_lines_keep_their_numbers(
    above: str, notes: list[str]
) -> None:
    table = "prompt;response;product\nSize?;Ten.;\nColour?;1;2;3;4\n"
    items = read(above + table, filename="calls.csv")
    assert [item.said() for item in items if isinstance(item, LineNote)] == notes
    (conversation,) = [item.conversation for item in items if isinstance(item, ParsedConversation)]
    assert [message["content"] for message in conversation["messages"]] == ["Size?", "Ten."]
    assert [(p.line, p.code) for p in items if isinstance(p, LineProblem)] == [
        (above.count("\n") + 3, "csv_cells")
    ]
