"""Files of any layout become dialogues by a mapping; by a suggested one only where every name is known."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest

from app.interchange import ImportLimits, LineNote, LineProblem, ParsedConversation, Source
from app.interchange.mapping.model import DialogueMapping
from app.interchange.mapping.trying import Upload
from tests.interchange.reading_aloud import DIALOGUE, read

CHAT_EXPORT = """id,room,kind,mine,at,words
1,7,text,0,1700000000,"Boss, what is a window a metre?"
4,8,text,0,1700000100,Anyone there?
3,7,text,1,1700000040,including the fitting
2,7,text,1,1700000030,680 in steel
5,7,image,0,1700000065,<img/>
6,8,text,1,1700000110,Yes.
7,7,system,9,1700000120,You were added
"""
BY_ROWS: dict[str, Any] = {
    "turns": "rows",
    "conversation": "room",
    "order": "at",
    "side": "mine",
    "text": "words",
    "sides": {"0": "user", "1": "assistant", "9": "left_out"},
    "merge": True,
    "only_column": "kind",
    "only_values": ("text", "system"),
}

Dialogue = list[tuple[str, str]]


def dialogues(data: str | bytes, mapping: dict[str, Any] | None = None, **options: Any) -> list[Dialogue]:
    source = Source(mapping=DialogueMapping(**mapping)) if mapping else Source()
    return [
        [(message["role"], message["content"]) for message in item.conversation["messages"]]
        for item in read(data, source=source, **options)
        if isinstance(item, ParsedConversation)
    ]


def codes(data: str | bytes, mapping: dict[str, Any] | None = None, **options: Any) -> list[tuple[int, str]]:
    """Of problems and of notes about the file."""
    source = Source(mapping=DialogueMapping(**mapping)) if mapping else Source()
    return [
        (item.line, item.code)
        for item in read(data, source=source, **options)
        if isinstance(item, LineProblem | LineNote)
    ]


def test_rows_of_a_chat_become_dialogues_in_their_order() -> None:
    assert dialogues(CHAT_EXPORT, BY_ROWS) == [
        [("user", "Boss, what is a window a metre?"), ("assistant", "680 in steel\nincluding the fitting")],
        [("user", "Anyone there?"), ("assistant", "Yes.")],
    ]


def test_what_was_left_out_and_joined_is_noted_by_line() -> None:
    source = Source(mapping=DialogueMapping(**BY_ROWS))
    first = next(item for item in read(CHAT_EXPORT, source=source) if isinstance(item, ParsedConversation))
    assert [(note.line, note.code) for note in first.notes] == [
        (2, "mapping_left_out"),
        (2, "mapping_joined"),
    ]
    assert codes(CHAT_EXPORT, BY_ROWS) == [(0, "mapping_not_read")]


def test_every_field_that_a_mapping_does_not_read_is_named_whichever_record_holds_it() -> None:
    said = {
        "role": "assistant",
        "content": "Ten.",
        "reasoning_content": "Large feet.",
        "tool_calls": [{"name": "f"}],
    }
    asked = {"role": "user", "content": "Size?", "name": None}
    records = [
        {"data": {"Turns": [asked, {"role": "assistant", "content": "Ten."}]}, "id": ""},
        {"data": {"Turns": [asked, said], "note": "a regular"}, "id": 7},
    ]
    items = read("\n".join(map(json.dumps, records)))
    assert [item.said() for item in items if isinstance(item, LineNote)] == [
        "The layout was recognised: data.Turns (role, content). If the dialogues look wrong, import the file with a mapping "
        "of your own.",
        "These fields of the records were not read: data.Turns.reasoning_content, data.Turns.tool_calls, data.note, id.",
    ]
    rows = "room,who,words,mood\n1,user,Size?,\n1,assistant,Ten.,\n1,user,Thanks,glad\n"
    by_room = {"turns": "rows", "conversation": "room", "side": "who", "text": "words"}
    sides = {"user": "user", "assistant": "assistant"}
    assert codes(rows, {**by_room, "sides": sides}) == [(0, "mapping_not_read")]
    assert codes(rows.replace("glad", ""), {**by_room, "sides": sides}) == []


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"version": 1, "data": [DIALOGUE, DIALOGUE], "rest": {"a": [1]}}, "data"),
        ({"data": [DIALOGUE["messages"]]}, "data"),
        ({"rows": [{"question": "How much is it?", "answer": "Three."}]}, "rows"),
        (
            {
                "about": {"by": ["me"]},
                "page": {
                    "calls": [
                        {
                            "turns": [
                                {"speaker": "user", "text": "How much is it?"},
                                {"speaker": "agent", "text": "Three."},
                            ]
                        }
                    ]
                },
            },
            "page.calls",
        ),
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_records_that_stand_in_a_field_of_one_object_are_read_from_there(
    value: Any, field: str, indent: int | None
) -> None:
    data = json.dumps(value, indent=indent)
    assert {dialogue[0] for dialogue in dialogues(data)} == {("user", "How much is it?")}
    first = read(data)[0]
    assert isinstance(first, LineNote)
    assert first.said().startswith(f"The records were read from the field “{field}”.")


def test_the_rounds_and_turns_of_one_dialogue_are_no_records() -> None:
    turns = {"turns": [{"speaker": "user", "text": "Hi"}, {"speaker": "agent", "text": "Hello"}]}
    assert dialogues(json.dumps(turns, indent=1)) == [[("user", "Hi"), ("assistant", "Hello")]]
    rounds = {
        "id": 1,
        "talk": [{"question": "Hi", "answer": "Hello"}, {"question": "Price?", "answer": "Three."}],
    }
    assert codes(json.dumps(rounds)) == [(1, "unknown_layout")]
    lines = "\n".join([json.dumps({"data": [DIALOGUE]})] * 2)
    assert codes(lines) == [(1, "unknown_layout")]


def test_a_side_that_nobody_placed_keeps_its_dialogue_out_or_takes_the_side_of_the_others() -> None:
    mapping = {**BY_ROWS, "sides": {"1": "assistant", "9": "left_out"}}
    assert codes(CHAT_EXPORT, mapping)[:-1] == [(2, "mapping_side_unknown"), (3, "mapping_side_unknown")]
    assert dialogues(CHAT_EXPORT, {**mapping, "others": "user"}) == dialogues(CHAT_EXPORT, BY_ROWS)


LISTS = [
    {"data": {"talk": [{"who": "Ann", "says": "Hi"}, {"who": "Bob", "says": "Hello"}]}, "outcome": "won"}
]


def test_a_list_under_any_field_is_read_with_labels() -> None:
    mapping = {
        "turns": "list",
        "field": "data.talk",
        "side": "who",
        "text": "says",
        "sides": {"Ann": "user", "Bob": "assistant"},
        "labels": {"outcome": "outcome"},
    }
    (item,) = read(json.dumps(LISTS), source=Source(mapping=DialogueMapping(**mapping)))
    assert isinstance(item, ParsedConversation)
    assert item.conversation["outcome"] == "won"
    assert [message["role"] for message in item.conversation["messages"]] == ["user", "assistant"]
    assert codes(json.dumps(LISTS), {**mapping, "field": "data"}) == [(1, "mapping_no_list")]


CHAINED = """id,parent_id,instruction,output
a1,,Do you sell refills?,Packs of five.
b1,,Open on Sunday?,From ten.
a2,a1,How much?,4.50.
"""


def test_chained_rows_become_dialogues_without_being_told() -> None:
    expected = [
        [("user", "Open on Sunday?"), ("assistant", "From ten.")],
        [
            ("user", "Do you sell refills?"),
            ("assistant", "Packs of five."),
            ("user", "How much?"),
            ("assistant", "4.50."),
        ],
    ]
    assert dialogues(CHAINED) == expected
    assert codes(CHAINED) == [(0, "layout_recognised")]


def test_records_that_are_whole_dialogues_are_not_chained_whatever_ids_they_have() -> None:
    tools = [
        {
            "type": "function",
            "function": {"name": "stock", "parameters": {"type": "object", "properties": {}}},
        }
    ]
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    (item,) = read(json.dumps({"id": 2, "parent_id": 1, "messages": messages, "tools": tools}))
    assert isinstance(item, ParsedConversation)
    assert item.conversation["tools"]
    table = "id,parent_id,conversation_id,role,content\n1,,a,user,Hi\n2,1,a,assistant,Hello\n"
    assert dialogues(table) == [[("user", "Hi"), ("assistant", "Hello")]]
    assert codes(table) == []


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("c1,gone,q,a\n", (5, "mapping_no_parent")),
        ("a3,a1,q,a\n", (4, "mapping_two_children")),
        ("a1,,q,a\n", (5, "mapping_bad_id")),
        ("c1,c2,q,a\nc2,c1,q,a\n", (5, "mapping_ring")),
    ],
)
def test_a_broken_chain_is_named_by_its_line(more: str, code: tuple[int, str]) -> None:
    assert code in codes(CHAINED + more)


@pytest.mark.parametrize(
    "value",
    [
        [{"author": "Human", "text": "Hi"}, {"author": "Robot", "text": "Hello"}],
        [{"talk": [{"author": "Human", "text": "Hi"}, {"author": "Robot", "text": "Hello"}]}],
        [
            {
                "id": 7,
                "data": {"talk": [{"author": "Human", "text": "Hi"}, {"author": "Robot", "text": "Hello"}]},
                "x": [],
            }
        ],
        [
            {"conversation_id": 1, "speaker": "客户", "text": "Hi"},
            {"conversation_id": 1, "speaker": "客服", "text": "Hello"},
        ],
        [{"log": "Human: Hi\n\nAssistant: Hello"}],
        {
            "messages": {"0": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]},
            "id": {"0": "a"},
        },
    ],
)
def test_layouts_whose_every_name_is_known_are_read_without_a_mapping(value: Any) -> None:
    assert dialogues(json.dumps(value)) == [[("user", "Hi"), ("assistant", "Hello")]]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ([{"author": "Ann", "text": "Hi"}, {"author": "Bob", "text": "Hello"}], "unknown_layout"),
        ([{"role": "user", "content": "x", "day": 3}], "bare_message"),
        ([{"a": 1}], "unknown_layout"),
    ],
)
def test_a_layout_with_an_unknown_name_is_refused_once_and_the_way_out_is_said(value: Any, code: str) -> None:
    problems = [item for item in read(json.dumps(value * 3)) if isinstance(item, LineProblem)]
    assert [problem.code for problem in problems] == [code]
    assert "--mapping" in problems[0].said()


def test_json_by_columns_is_bounded_and_named_where_it_breaks() -> None:
    value = {"messages": {str(n): [{"role": "user", "content": f"Question {n}?"}] for n in range(50)}}
    text = json.dumps(value, indent=1)
    assert len(dialogues(text)) == 50
    assert codes(text[:-30])[-1][1] == "columns_broken"
    assert codes('{"a": {"0": 1}, "\\ud83d": {"0": 1}}') == [(1, "columns_broken")]
    wide = json.dumps({f"{'x' * 50}{n}": {"0": 1, "1": 1} for n in range(50)})
    assert codes(wide, limits=ImportLimits(record_bytes=1000)) == [
        (1, "record_too_long"),
        (2, "record_too_long"),
    ]
    long = json.dumps({"messages": {"0": "x" * 1_000_000}})
    tracemalloc.start()
    try:
        codes(long)
        assert tracemalloc.get_traced_memory()[1] < 20 * len(long)
    finally:
        tracemalloc.stop()


def test_a_message_or_a_line_of_a_chat_that_never_ends_is_refused() -> None:
    limits = ImportLimits(record_bytes=1000)
    start = "Ann: How much?\nShop: Fifty.\nAnn: "
    assert codes(start + "words\n" * 300, limits=limits, mapping=CHAT_MAPPING) == [(3, "record_too_long")]
    assert codes(f"{start}{'word ' * 300}\n", limits=limits, mapping=CHAT_MAPPING) == [(3, "record_too_long")]


WHATSAPP = "[12/03/2026, 14:05:33] Ann: How much\nis it?\n[12/03/2026, 14:06:01] Shop: 50: all in\n"
CHATS = {
    "names": ("Ann: How much\nis it?\nShop: 50: all in\n", None),
    "WhatsApp, iOS": (WHATSAPP, "12/03/2026, 14:05:33"),
    "WhatsApp, Android": (
        "12/03/26, 14:05 - Messages are encrypted.\n12/03/26, 14:05 - Ann: How much\nis it?\n"
        "12/03/26, 14:06 - Shop: 50: all in",
        "12/03/26, 14:05",
    ),
    "WeChat": (
        "Ann 2026-03-12 14:05:33\nHow much\nis it?\n\nShop 2026-03-12 14:06\n50: all in\n",
        "2026-03-12 14:05:33",
    ),
    "QQ": (
        "2026-03-12 14:05:33 Ann\nHow much\nis it?\n\n2026-03-12 14:06:01 Shop\n50: all in\n",
        "2026-03-12 14:05:33",
    ),
    "names alone": ("Ann：\nHow much\nis it?\nShop：\n50: all in\n", None),
}
CHAT_MAPPING = {
    "turns": "rows",
    "conversation": "dialogue",
    "side": "name",
    "text": "text",
    "sides": {"Ann": "user", "Shop": "assistant"},
    "others": "left_out",
}


@pytest.mark.parametrize("kind", CHATS)
def test_chats_as_people_copy_them_are_read(kind: str) -> None:
    text, time = CHATS[kind]
    if kind == "names alone":
        text = text.replace("50: all in", "50, all in")
    expected = [
        [("user", "How much\nis it?"), ("assistant", "50: all in" if kind != "names alone" else "50, all in")]
    ]
    if kind == "names":
        text = text.replace("50: all", "50： all")
        expected = [[("user", "How much\nis it?"), ("assistant", "50： all in")]]
    assert dialogues(text, CHAT_MAPPING, filename="pasted.txt") == expected
    assert codes(text) == [(0, "chat_sides")]
    if time:
        assert time in {row["time"] for row in Upload(io.BytesIO(text.encode()), "pasted.txt").sample().rows}


def test_a_line_of_dashes_begins_another_dialogue_and_known_names_need_no_mapping() -> None:
    text = "客户：多少钱？\n客服：五十。\n---\n客户：有货吗？\n客服：有。\n"
    assert dialogues(text) == [
        [("user", "多少钱？"), ("assistant", "五十。")],
        [("user", "有货吗？"), ("assistant", "有。")],
    ]


def test_a_file_is_looked_into_and_a_mapping_tried_on_it() -> None:
    export = Upload(io.BytesIO(CHAT_EXPORT.encode()), "export.csv")
    sample = export.sample()
    assert sample.columns == ("id", "room", "kind", "mine", "at", "words")
    assert sample.values["mine"] == ("0", "1", "9")
    assert (len(sample.rows), sample.read) == (5, 7)
    trial = export.trial(DialogueMapping(**BY_ROWS))
    assert (trial.count, trial.problem_count, len(trial.dialogues)) == (2, 0, 2)
    text = json.dumps([{"log": "Ann: a\nBob: b\nAnn: c"}])
    assert Upload(io.BytesIO(text.encode()), "a.json").names("log") == ("Ann", "Bob")
    nested = Upload(io.BytesIO(json.dumps(LISTS).encode()), "a.json").sample()
    assert nested.inner == {"data.talk": ("who", "says")}
    assert nested.values["data.talk[].who"] == ("Ann", "Bob")


def test_the_order_of_turns_and_dialogues_inside_of_texts_are_noted_by_line() -> None:
    records = [
        [("assistant", "Hi"), ("user", "a"), ("user", "b")],
        [("user", "Human: a\nAssistant: b"), ("sales", "c")],
        [("user", "d"), ("sales", "e")],
    ]
    text = "\n".join(
        json.dumps({"messages": [{"role": role, "content": content} for role, content in record]})
        for record in records
    )
    notes = [
        (note.line, note.code)
        for item in read(text)
        if isinstance(item, ParsedConversation)
        for note in item.notes
    ]
    assert notes == [
        (1, "begins_with_assistant"),
        (1, "same_side_twice"),
        (2, "role_read_as"),
        (2, "dialogue_in_text"),
    ]
