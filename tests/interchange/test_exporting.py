"""What goes out to another tool comes back the same, flags included, or is refused by name; never half."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialogue.canonical import canonical_conversation
from app.dialogue.reading import read_conversation
from app.dialogue.trained import trained_places, with_shortest_flags
from app.interchange import Source, SourceMask, read_dataset_info
from app.interchange.exports.exporting import (
    EXPORT_FORMATS,
    Export,
    ExportFormat,
    ExportReport,
    FlagChoice,
    NotAllCarried,
    export_conversations,
)
from app.interchange.sentences.problems import ExportRefused
from tests.dialogue.strategies import LABELS, MESSAGE, conversations
from tests.interchange.collecting import Files, collector
from tests.interchange.reading_aloud import read_all


def export(values: list[dict[str, Any]], format: ExportFormat, **asked: Any) -> tuple[Files, ExportReport]:
    files, create = collector()
    frozen = [{"id": 100 + place, "split": "train", **value} for place, value in enumerate(values)]
    report = export_conversations(lambda: frozen, Export(format, "sales_v1", **asked), create)
    return files, report


def refusal(values: list[dict[str, Any]], format: ExportFormat, **asked: Any) -> str | None:
    """The code of the refusal, None where the export succeeds."""
    try:
        export(values, format, **asked)
    except ExportRefused as refused:
        return refused.code
    return None


def data(files: Files) -> bytes:
    return b"".join(content for name, content in files.items() if name.endswith((".jsonl", ".csv")))


def lines(files: Files) -> list[Any]:
    return [json.loads(line) for line in data(files).splitlines()]


def back(files: Files, format: ExportFormat, mask: SourceMask = "file") -> list[dict[str, Any]]:
    columns = None
    if format == "llamafactory":
        columns = read_dataset_info(files["dataset_info.json"], filename="train.jsonl")
    return read_all(data(files), source=Source(columns, mask))


def alike(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    """Equal whatever the order, for some formats put the records that show a field first in front."""
    texts = [sorted(json.dumps(value, sort_keys=True) for value in side) for side in (found, expected)]
    return texts[0] == texts[1]


ANSWER = {"role": "assistant", "content": "a"}
QUESTION = {"role": "user", "content": "q"}
SYSTEM = {"role": "system", "content": "s"}
FIRST_IS_CONTEXT = {"messages": [QUESTION, {**ANSWER, "train": False}, QUESTION, ANSWER], "outcome": "won"}
LAST_IS_CONTEXT = {"messages": [QUESTION, {**ANSWER, "train": True}, QUESTION, {**ANSWER, "train": False}]}
PLAIN = {"messages": [SYSTEM, QUESTION, ANSWER], "tags": ["a, b"], "stage": "offer"}
IN_TURNS = st.builds(
    lambda system, pairs, labels: {
        "messages": [
            *([{"role": "system", "content": system}] if system else []),
            *({"role": role, "content": text, **flag} for pair in pairs for role, text, flag in pair),
        ],
        **labels,
    },
    st.sampled_from(["", "s", "=1+1", "你好\r\n"]),
    st.lists(
        st.tuples(
            *(
                st.tuples(
                    st.just(role),
                    st.sampled_from(["x", "'=1", '"', "\u2028x", " y ", "-5 %", "<|im_end|>", "价格？"]),
                    st.sampled_from(
                        [{}, {"train": False}, *([{"train": True}] if role == "assistant" else [])]
                    ),
                )
                for role in ("user", "assistant")
            )
        ),
        min_size=1,
        max_size=3,
    ),
    LABELS,
).map(read_conversation)


@pytest.mark.parametrize("format", ["messages", "sharegpt", "csv", "axolotl"])
@settings(max_examples=100, deadline=None)
@given(values=st.lists(conversations(MESSAGE).map(read_conversation) | IN_TURNS, min_size=1, max_size=4))
def test_formats_with_flags_give_the_same_conversations_back(
    format: ExportFormat, values: list[dict[str, Any]]
) -> None:
    values = [without_objects_as_arguments(value) for value in values] if format == "axolotl" else values
    try:
        files, report = export(values, format, leave_out=True)
    except ExportRefused:
        return
    left_out = {problem.sentence.values["conversation"] - 100 for problem in report.left_out}
    kept = [canonical_conversation(value) for place, value in enumerate(values) if place not in left_out]
    assert len(kept) == report.conversations == report.samples
    assert alike(back(files, format), kept)
    if format == "messages":
        assert not left_out


def without_objects_as_arguments(value: dict[str, Any]) -> dict[str, Any]:
    """Axolotl wants arguments as text; that they are spelled so afterwards is meant."""
    messages = []
    for message in value["messages"]:
        calls = [
            {**call, "function": {**call["function"], "arguments": json.dumps(call["function"]["arguments"])}}
            for call in message.get("tool_calls", [])
        ]
        messages.append({**message, "tool_calls": calls} if calls else message)
    return {**value, "messages": messages}


@settings(max_examples=100, deadline=None)
@given(values=st.lists(IN_TURNS, min_size=1, max_size=4))
def test_openai_gives_messages_and_weights_back(values: list[dict[str, Any]]) -> None:
    files, _ = export(values, "openai")
    for message in (message for line in lines(files) for message in line["messages"]):
        assert set(message) <= {"role", "content", "weight"}
        assert message["role"] == "assistant" or "weight" not in message
    found = [value["messages"] for value in back(files, "openai")]
    expected = [canonical_conversation(value)["messages"] for value in values]
    for message in (message for messages in expected for message in messages):
        if message["role"] != "assistant":
            message.pop("train", None)  # false on a question says what is so anyway
    assert found == expected


@pytest.mark.parametrize("format", ["llamafactory", "trl"])
@settings(max_examples=100, deadline=None)
@given(values=st.lists(IN_TURNS, min_size=1, max_size=3))
def test_tools_without_flags_train_the_same_turns_by_their_own_setting_or_refuse(
    format: ExportFormat, values: list[dict[str, Any]]
) -> None:
    expected = [with_shortest_flags(canonical_conversation(value)) for value in values]
    if code := refusal(values, format):
        masks = [trained_places(value) for value in expected]
        answers = [[p for p, m in enumerate(v["messages"]) if m["role"] == "assistant"] for v in expected]
        assert code == "flags_not_carried"
        assert masks != answers
        assert masks != [places[-1:] for places in answers]
        return
    files, report = export(values, format)
    mask = report.mask if format == "llamafactory" else "file"  # TRL's prompt and completion tell it
    assert alike(back(files, format, mask), expected)


@pytest.mark.parametrize("format", ["llamafactory", "trl", "alpaca"])
@settings(max_examples=100, deadline=None)
@given(values=st.lists(IN_TURNS, min_size=1, max_size=3))
def test_one_sample_for_each_trained_turn_trains_every_answer_once_after_the_same_words(
    format: ExportFormat, values: list[dict[str, Any]]
) -> None:
    expected = []
    for value in values:
        messages = [{"role": m["role"], "content": m["content"]} for m in value["messages"]]
        expected += [(messages[:place], messages[place]) for place in trained_places(value)]
    if not expected:
        assert refusal(values, format, flags="split") == "nothing_to_write"
        return
    files, report = export(values, format, flags="split")
    found = []
    for value in back(files, format, "last_assistant"):
        assert trained_places(value) == [len(value["messages"]) - 1]
        messages = [{"role": m["role"], "content": m["content"]} for m in value["messages"]]
        found.append((messages[:-1], messages[-1]))
    assert found == expected
    assert report.samples == len(expected)
    assert report.conversations + report.untrained == len(values)


@pytest.mark.parametrize("format", EXPORT_FORMATS)
def test_every_format_writes_a_plain_dialogue_and_reads_it_back(format: ExportFormat) -> None:
    files, report = export([PLAIN], format)
    (found,) = back(files, format)
    expected = canonical_conversation({**PLAIN, "language": None})
    if format == "openai":
        found = {**expected, "messages": found["messages"]}
    assert found == expected
    assert list(files) == report.files
    assert (report.conversations, report.samples, report.left_out_count) == (1, 1, 0)


# tools without flags


@pytest.mark.parametrize(
    ("messages", "mask"),
    [
        ([QUESTION, ANSWER, QUESTION, {**ANSWER, "train": True}], "assistant"),
        ([QUESTION, {**ANSWER, "train": False}, QUESTION, ANSWER], "last_assistant"),
        ([{**QUESTION, "train": True}, ANSWER], "everything"),
    ],
)
def test_flags_equal_to_a_setting_of_llamafactory_become_that_setting(
    messages: list[dict[str, Any]], mask: str
) -> None:
    files, report = export([{"messages": messages}], "llamafactory")
    arguments = yaml.safe_load(files["training_arguments.yaml"])
    assert report.mask == mask
    assert arguments["mask_history"] is (mask == "last_assistant")
    assert arguments["train_on_prompt"] is (mask == "everything")
    assert "train" not in json.dumps(lines(files))


def test_other_flags_are_refused_naming_the_first_conversation_that_has_them() -> None:
    for format in ("llamafactory", "trl", "alpaca"):
        with pytest.raises(ExportRefused) as refused:
            export([PLAIN, LAST_IS_CONTEXT, FIRST_IS_CONTEXT], format)
        assert (refused.value.code, refused.value.sentence.values["conversation"]) == (
            "flags_not_carried",
            101,
        )


def test_flags_are_left_out_only_where_asked_for() -> None:
    files, report = export([LAST_IS_CONTEXT, FIRST_IS_CONTEXT], "llamafactory", flags="drop")
    assert report.mask == "assistant"
    assert [len(line["conversations"]) for line in lines(files)] == [4, 4]


def test_a_trained_question_is_refused_where_only_answers_can_be_trained() -> None:
    asked = {"messages": [{**QUESTION, "train": True}, ANSWER]}
    refusing: list[tuple[ExportFormat, FlagChoice]] = [("openai", "refuse"), ("llamafactory", "split")]
    for format, flags in refusing:
        with pytest.raises(NotAllCarried) as refused:
            export([PLAIN, asked], format, flags=flags)
        assert (refused.value.code, refused.value.sentence.values["conversation"]) == (
            "trained_not_an_answer",
            101,
        )
    files, _ = export([asked], "openai", flags="drop")
    assert lines(files) == [{"messages": [QUESTION, ANSWER]}]


def test_dialogues_that_llamafactory_would_skip_without_a_word_are_refused_or_counted() -> None:
    two_answers = {"messages": [QUESTION, ANSWER, ANSWER]}
    open_end = {"messages": [QUESTION, ANSWER, QUESTION]}
    with pytest.raises(NotAllCarried) as refused:
        export([PLAIN, two_answers, open_end], "llamafactory")
    assert (refused.value.code, refused.value.sentence.values["conversation"]) == ("turns_not_in_order", 101)
    assert refused.value.report.left_out_count == 2
    files, report = export([PLAIN, two_answers, open_end], "llamafactory", leave_out=True)
    assert (len(lines(files)), report.left_out_count) == (1, 2)
    assert [problem.sentence.values["conversation"] for problem in report.left_out] == [101, 102]


def test_nothing_is_written_when_nothing_fits() -> None:
    with pytest.raises(ExportRefused) as refused:
        export([{"messages": [QUESTION, QUESTION]}], "llamafactory", leave_out=True)
    assert refused.value.code == "nothing_to_write"


# files of several formats


def test_held_out_conversations_stay_apart_in_formats_of_several_files() -> None:
    frozen = [
        {"id": 1, "split": "train", **PLAIN},
        {"id": 2, "split": "validation", **FIRST_IS_CONTEXT},
    ]
    files, create = collector()
    export_conversations(lambda: frozen, Export("axolotl", "sales_v1", "Sales: “a”\n- b: c"), create)
    assert list(files) == ["train.jsonl", "validation.jsonl", "config.yml"]
    config = yaml.safe_load(files["config.yml"])
    assert [entry["path"] for entry in (*config["datasets"], *config["test_datasets"])] == [
        "train.jsonl",
        "validation.jsonl",
    ]
    assert set(config) == {"datasets", "test_datasets"}
    assert config["datasets"][0]["message_field_training"] == "train"
    files.clear()
    export_conversations(lambda: frozen, Export("axolotl", "sales_v1", part="train"), create)
    assert list(files) == ["train.jsonl", "config.yml"]
    files.clear()
    export_conversations(lambda: frozen, Export("messages", "sales_v1", part="validation"), create)
    assert [value["outcome"] for value in lines(files)] == ["won"]


def test_dataset_info_names_every_tag_for_llamafactory_drops_its_defaults() -> None:
    files, _ = export([PLAIN], "llamafactory")
    ((name, entry),) = json.loads(files["dataset_info.json"]).items()
    assert name == yaml.safe_load(files["training_arguments.yaml"])["dataset"] == "sales_v1"
    assert set(entry["tags"]) == {
        f"{tag}_tag" for tag in ("role", "content", "user", "assistant", "observation", "function", "system")
    }
    assert entry["file_name"] == "train.jsonl"


def test_trl_gets_the_loss_that_fits_its_records() -> None:
    files, _ = export([PLAIN], "trl")
    config = yaml.safe_load(files["sft_config.yaml"])
    assert (config["assistant_only_loss"], config["completion_only_loss"]) == (True, False)
    assert set(lines(files)[0]) > {"messages"}
    files, _ = export([FIRST_IS_CONTEXT], "trl")
    config = yaml.safe_load(files["sft_config.yaml"])
    assert (config["assistant_only_loss"], config["completion_only_loss"]) == (False, True)
    assert lines(files)[0]["completion"] == [ANSWER]


def test_records_that_show_a_field_first_stand_in_front_and_labels_are_always_text() -> None:
    late = {"messages": [QUESTION, {**ANSWER, "train": False}, {**ANSWER, "name": "Bo"}], "stage": "x"}
    files, _ = export([PLAIN, PLAIN, late, PLAIN], "axolotl")
    shown: set[str] = set()
    for place, line in enumerate(lines(files)):
        fields = {key for message in line["messages"] for key in message}
        assert place < 2 or fields <= shown
        shown |= fields
        assert all(isinstance(line[label], str) for label in ("outcome", "stage", "language", "tags"))


def test_cells_of_an_exported_table_never_begin_like_a_formula() -> None:
    value = {
        "messages": [{**QUESTION, "content": "=HYPERLINK(1)"}, {**ANSWER, "content": "+1", "train": False}]
    }
    files, _ = export([value], "csv")
    (content,) = files.values()
    cells = [cell for row in csv.reader(io.StringIO(content.decode("utf-8-sig"))) for cell in row]
    assert "'=HYPERLINK(1)" in cells
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r")]


def _calling(*results: dict[str, Any]) -> dict[str, Any]:
    calls = [
        {
            "id": f"c{at}",
            "type": "function",
            "function": {"name": "price", "arguments": json.dumps({"of": at})},
        }
        for at in range(len(results))
    ]
    messages = [QUESTION, {"role": "assistant", "content": "", "tool_calls": calls}, *results, ANSWER]
    return canonical_conversation({"messages": messages})


def test_ids_that_the_order_of_calls_and_results_says_too_are_no_loss_for_llamafactory() -> None:
    joined = _calling({"role": "tool", "content": "10", "tool_call_id": "c0", "name": "price"})
    files, _ = export([joined], "llamafactory")
    (found,) = back(files, "llamafactory")
    call = {"type": "function", "function": {"name": "price", "arguments": {"of": 0}}}
    assert found["messages"] == [
        QUESTION,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "10"},
        ANSWER,
    ]
    for other in ({"tool_call_id": "c7"}, {"tool_call_id": "c0", "name": "stock"}):
        assert (
            refusal([_calling({"role": "tool", "content": "10", **other})], "llamafactory") == "not_carried"
        )
