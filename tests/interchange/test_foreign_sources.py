"""What other tools' files mean by their flags and settings, as flags of ours; the rest is refused by line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from app.interchange import (
    Format,
    LineProblem,
    ParsedConversation,
    Source,
    SourceMask,
    SourceRefused,
    read_conversations,
    read_dataset_info,
)
from tests.interchange.reading_aloud import notes_of, read_all, read_one, refusal_of, the_problem

SYSTEM = {"role": "system", "content": "s"}
QUESTION = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}
DIALOGUE = {"messages": [SYSTEM, QUESTION, ANSWER, QUESTION, ANSWER]}


def flags(conversation: dict[str, Any]) -> list[bool | None]:
    return [message.get("train") for message in conversation["messages"]]


def said(conversation: dict[str, Any]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in conversation["messages"]]


# what the source trained


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ("file", [None, None, None, None, None]),
        ("assistant", [None, None, None, None, None]),
        ("last_assistant", [None, None, False, None, None]),
        ("everything", [True, True, None, True, None]),
    ],
)
def test_what_the_source_trained_becomes_flags_where_the_default_strategy_differs(
    mask: SourceMask, expected: list[bool | None]
) -> None:
    assert flags(read_one(DIALOGUE, source=Source(mask=mask))) == expected


def test_a_choice_of_what_was_trained_replaces_the_flags_of_the_file_and_says_so() -> None:
    flagged = {"messages": [QUESTION, {**ANSWER, "train": False}, QUESTION, ANSWER]}
    every = Source(mask="assistant")
    assert flags(read_one(flagged, source=every)) == [None] * 4
    assert "flags_replaced" in notes_of(flagged, source=every)
    same = Source(mask="last_assistant")
    assert flags(read_one(flagged, source=same)) == [None, False, None, None]
    assert "flags_replaced" not in notes_of(flagged, source=same)
    assert "flags_replaced" not in notes_of(DIALOGUE, source=every)


# flags


@pytest.mark.parametrize("field", ["train", "training", "trainable", "loss"])
def test_the_usual_names_of_the_train_flag_are_understood(field: str) -> None:
    value = {"messages": [{**QUESTION, field: True}, {**ANSWER, field: False}, {**ANSWER, field: None}]}
    assert flags(read_one(value)) == [True, False, None]


def test_an_unusual_name_of_the_train_flag_can_be_told() -> None:
    value = {"messages": [QUESTION, {**ANSWER, "learn": False}, QUESTION, ANSWER]}
    assert flags(read_one(value, source=Source(train_field="learn"))) == [None, False, None, None]
    assert notes_of(value, source=Source(train_field="learn")) == []
    assert flags(read_one(value)) == [None] * 4
    assert "fields_not_kept" in notes_of(value)


def test_a_train_field_that_is_nowhere_in_the_file_is_a_typing_error_and_not_ignored() -> None:
    items = list(
        read_conversations(io.BytesIO(json.dumps(DIALOGUE).encode()), source=Source(train_field="trian"))
    )
    (problem,) = [item for item in items if isinstance(item, LineProblem)]
    assert (problem.line, problem.code, problem.sentence.values["field"]) == (
        0,
        "train_field_absent",
        "trian",
    )


def test_a_table_may_call_its_train_column_otherwise() -> None:
    data = "conversation_id,role,content,learn\n1,user,q,\n1,assistant,a,no\n"
    (found,) = read_all(data, source=Source(train_field="Learn"))
    assert flags(found) == [None, False]
    assert the_problem(data, source=Source(train_field="lern")).code == "train_field_absent"


@pytest.mark.parametrize(
    ("message", "code", "sentence"),
    [
        ({**ANSWER, "training": 1}, "bad_train", "“training” must be true or false, not 1"),
        ({**ANSWER, "training": "no"}, "bad_train", '"no"'),
        ({**ANSWER, "train": True, "weight": 0}, "train_conflict", "train, weight"),
        ({**ANSWER, "train": True, "training": False}, "train_conflict", "train, training"),
        ({**QUESTION, "weight": 1}, "weight_role", "user message"),
        ({**ANSWER, "train_detail": [{"begin_offset": 0, "end_offset": 0, "train": True}]}, "part_flags", ""),
        (
            {**ANSWER, "content": [{"type": "text", "text": "a", "train": False}]},
            "part_flags",
            "content.train",
        ),
        ({**ANSWER, "content": [{"type": "text", "text": "a", "weight": 0}]}, "part_flags", "content.weight"),
    ],
)
def test_flags_that_cannot_be_meant_or_carried_are_refused_with_line_and_message(
    message: dict[str, Any], code: str, sentence: str
) -> None:
    problem = refusal_of({"messages": [QUESTION, message]})
    assert (problem.line, problem.code, problem.sentence.values["message"]) == (1, code, 2)
    assert sentence in problem.said()


def test_weight_0_on_a_question_is_harmless_and_kept() -> None:
    assert flags(read_one({"messages": [{**QUESTION, "weight": 0}, {**ANSWER, "weight": 1}]})) == [
        False,
        True,
    ]


def test_trl_prompt_and_completion_train_the_completion_only() -> None:
    value = {"prompt": [QUESTION, ANSWER, QUESTION], "completion": [ANSWER], "stage": "x"}
    found = read_one(value)
    assert flags(found) == [None, False, None, None]
    assert found["stage"] == "x"
    after_a_tool = {"prompt": [QUESTION], "completion": [ANSWER, {"role": "tool", "content": "r"}, ANSWER]}
    assert flags(read_one(after_a_tool)) == [None, None, True, None]


# LLaMA-Factory's dataset_info.json


def info(entry: Any, *, filename: str = "d.json", name: str | None = None, **more: Any) -> Source:
    text = json.dumps({"mine": entry, **more}).encode()
    return Source(columns=read_dataset_info(text, filename=filename, entry=name))


def test_columns_of_an_alpaca_file_are_read_under_the_names_that_dataset_info_tells() -> None:
    columns = {"prompt": "ask", "query": "more", "response": "reply", "system": "rules", "history": "past"}
    row = {"ask": "q", "more": "m", "reply": "a", "rules": "s", "past": [["q0", "a0"]], "outcome": "won"}
    found = read_one(row, source=info({"file_name": "d.json", "columns": columns}))
    assert said(found) == [
        ("system", "s"),
        ("user", "q0"),
        ("assistant", "a0"),
        ("user", "q\nm"),
        ("assistant", "a"),
    ]
    assert found["outcome"] == "won"


def test_columns_that_dataset_info_does_not_name_are_left_unread_as_llamafactory_does() -> None:
    row = {"instruction": "q", "input": "not this", "output": "a"}
    source = info({"columns": {"prompt": "instruction", "response": "output"}})
    assert said(read_one(row, source=source)) == [("user", "q"), ("assistant", "a")]
    assert "fields_not_kept" in notes_of(row, source=source)
    assert said(read_one(row, source=info({}))) == [("user", "q\nnot this"), ("assistant", "a")]


SHAREGPT = {
    "formatting": "sharegpt",
    "columns": {"messages": "dialog", "system": "rules"},
    "tags": {"role_tag": "who", "content_tag": "what", "user_tag": "buyer_1", "assistant_tag": "us"},
}


def test_columns_and_tags_of_a_sharegpt_file_are_read_under_their_names() -> None:
    turns = [{"who": "buyer_1", "what": "q", "role": "assistant"}, {"who": "us", "what": "a", "train": False}]
    found = read_one({"dialog": turns, "rules": "s"}, source=info(SHAREGPT))
    assert said(found) == [("system", "s"), ("user", "q"), ("assistant", "a")]
    assert flags(found) == [None, None, False]


def test_a_tag_means_what_dataset_info_says_even_against_the_usual_meaning() -> None:
    swapped = {
        **SHAREGPT,
        "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "gpt", "assistant_tag": "human"},
    }
    turns = [{"from": "gpt", "value": "q"}, {"from": "human", "value": "a"}]
    assert said(read_one({"dialog": turns}, source=info(swapped))) == [("user", "q"), ("assistant", "a")]


def test_the_first_system_message_wins_over_the_system_column() -> None:
    turns = [{"who": "system", "what": "inner"}, {"who": "buyer_1", "what": "q"}, {"who": "us", "what": "a"}]
    tagged = {**SHAREGPT, "tags": {**SHAREGPT["tags"], "system_tag": "system"}}  # type: ignore[dict-item]
    row = {"dialog": turns, "rules": "outer"}
    assert said(read_one(row, source=info(tagged)))[0] == ("system", "inner")
    assert "fields_not_kept" in notes_of(row, source=info(tagged))


def test_the_openai_formatting_reads_messages_with_tool_calls() -> None:
    entry = {
        "formatting": "openai",
        "columns": {"messages": "chat"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
        },
    }
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [QUESTION, {"role": "assistant", "content": None, "tool_calls": [call]}]
    (found,) = read_all(json.dumps({"chat": turns}), source=info(entry))
    assert found["messages"][1]["tool_calls"] == [call]


def test_tables_are_mapped_too() -> None:
    entry = {"columns": {"prompt": "Frage", "response": "Antwort"}}
    data = "Frage;Antwort;outcome;x\nq;a;won;1\n"
    (item,) = read_conversations(io.BytesIO(data.encode()), filename="d.csv", source=info(entry))
    assert isinstance(item, ParsedConversation)
    assert said(item.conversation) == [("user", "q"), ("assistant", "a")]
    assert item.conversation["outcome"] == "won"
    other = the_problem("a;b\n1;2\n", filename="d.csv", source=info(entry))
    assert other.code == "csv_mapped_columns"


def test_a_parquet_column_that_only_dataset_info_knows_is_read() -> None:
    arrow = pytest.importorskip("pyarrow")
    stream = io.BytesIO()
    turns = [{"who": "buyer_1", "what": "q"}, {"who": "us", "what": "a"}]
    import pyarrow.parquet as parquet

    parquet.write_table(arrow.table({"dialog": [turns]}), stream)
    (found,) = read_all(stream.getvalue(), source=info(SHAREGPT))
    assert said(found) == [("user", "q"), ("assistant", "a")]


def test_a_record_without_the_column_is_refused_by_line() -> None:
    problem = refusal_of({"conversations": []}, source=info(SHAREGPT))
    assert (problem.line, problem.code) == (1, "column_absent")
    assert "“dialog”" in problem.said()


def test_the_entry_is_chosen_by_file_name_or_name_and_never_guessed() -> None:
    other = {"file_name": "other.json", "formatting": "sharegpt"}
    mine = {"file_name": "sub/D.JSON"}
    chosen = info(mine, other=other).columns
    assert chosen is not None
    assert chosen.layout == "alpaca"
    named = info(mine, other=other, name="other").columns
    assert named is not None
    assert named.layout == "sharegpt"
    alone = info({"file_name": "renamed.json"}).columns
    assert alone is not None
    assert alone.layout == "alpaca"


@pytest.mark.parametrize(
    ("text", "entry", "code", "shows"),
    [
        ("[1]", None, "info_no_entries", ""),
        ("{", None, "info_not_json", "line 1"),
        ('{"a": {}, "b": {}}', None, "info_none_fits", "a, b"),
        ('{"a": {"file_name": "d.json"}, "b": {"file_name": "d.json"}}', None, "info_several_fit", "a, b"),
        ('{"a": {}}', "c", "info_no_such_entry", "“c”"),
        ('{"a": 1}', None, "info_not_an_object", "“a”"),
        ('{"a": {"columns": []}}', None, "info_not_an_object", "“columns”"),
        ('{"a": {"columns": {"prompt": 1}}}', None, "info_not_text", "columns.prompt"),
        ('{"a": {"formatting": "xml"}}', None, "info_formatting", "“xml”"),
        ('{"a": {"ranking": true}}', None, "info_not_dialogues", "ranking"),
        ('{"a": {"columns": {"chosen": "c"}}}', None, "info_not_dialogues", "chosen"),
    ],
)
def test_a_dataset_info_that_cannot_be_applied_is_refused_with_a_sentence(
    text: str, entry: str | None, code: str, shows: str
) -> None:
    with pytest.raises(SourceRefused) as refused:
        read_dataset_info(text.encode(), filename="d.json", entry=entry)
    assert refused.value.code == code
    assert shows in str(refused.value)


def test_a_format_that_contradicts_dataset_info_is_refused() -> None:
    chosen: Format = "alpaca"
    with pytest.raises(SourceRefused) as refused:
        read_conversations(io.BytesIO(b"{}"), format=chosen, source=info(SHAREGPT))
    assert refused.value.code == "format_conflict"


@pytest.mark.parametrize(
    ("entry", "key", "meant"),
    [
        ({"format": "sharegpt"}, "format", "formatting"),
        ({"formating": "sharegpt"}, "formating", "formatting"),
        ({"columns": {"message": "turns"}}, "columns.message", "columns.messages"),
        ({"formatting": "sharegpt", "tags": {"roletag": "who"}}, "tags.roletag", "tags.role_tag"),
    ],
)
def test_a_key_of_dataset_info_that_does_not_exist_is_named_with_what_is_meant(
    entry: dict[str, object], key: str, meant: str
) -> None:
    with pytest.raises(SourceRefused) as refused:
        read_dataset_info(json.dumps({"chat": entry}).encode(), filename="chat.json")
    assert refused.value.code == "info_unknown_key"
    assert (refused.value.sentence.values["key"], refused.value.sentence.values["meant"]) == (key, meant)
