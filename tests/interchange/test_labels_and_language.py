"""Labels come along, in English or Chinese words; what is not understood is left empty and said."""

from __future__ import annotations

import pytest

from app.dialogue.language import detect_language
from tests.interchange.reading_aloud import DIALOGUE, notes_of, read_one, refusal_of


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ("won", "won"),
        ("Closed-Won", "won"),
        ("成交", "won"),
        ("丢单", "lost"),
        ("in_progress", "open"),
        ("", None),
    ],
)
def test_outcomes_are_understood(given: str, outcome: str | None) -> None:
    assert read_one({**DIALOGUE, "outcome": given})["outcome"] == outcome


def test_labels_are_found_in_the_record_before_its_metadata() -> None:
    value = {**DIALOGUE, "stage": "quote", "metadata": {"stage": "other", "product": "pump", "source": "crm"}}
    conversation = read_one(value)
    assert (conversation["stage"], conversation["product"], conversation["source"]) == (
        "quote",
        "pump",
        "crm",
    )


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ({"outcome": "maybe"}, "outcome_unknown"),
        ({"outcome": 3}, "outcome_unknown"),
        ({"language": "klingon"}, "language_unknown"),
        ({"stage": 3}, "label_not_kept"),
        ({"tags": [1]}, "tags_not_kept"),
        ({"tags": {"a": 1}}, "tags_not_kept"),
        ({"metadata": {"crm_id": 3}}, "fields_not_kept"),
        ({"metadata": "x"}, "fields_not_kept"),
    ],
)
def test_a_label_that_is_not_understood_is_left_empty_and_noted(label: dict[str, object], code: str) -> None:
    value = {**DIALOGUE, **label}
    assert notes_of(value) == [code]
    field = next(iter(label))
    assert not read_one(value).get(field)


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ({"product": "x" * 121}, "label_too_long"),
        ({"tags": ["x" * 41]}, "label_too_long"),
        ({"tags": [str(number) for number in range(51)]}, "too_many_tags"),
    ],
)
def test_a_label_that_is_too_long_is_refused_as_everywhere(label: dict[str, object], code: str) -> None:
    assert refusal_of({**DIALOGUE, **label}).code == code


@pytest.mark.parametrize(
    ("given", "tags"),
    [
        (["价格", "price"], ["price", "价格"]),
        ("a, b；c、", ["a", "b", "c"]),
        ('["a, b", "c"]', ["a, b", "c"]),
        ("[draft", ["[draft"]),
        (None, []),
        (["", "x"], ["x"]),
    ],
)
def test_tags_may_be_a_list_or_a_text_with_separators(given: object, tags: list[str]) -> None:
    assert read_one({**DIALOGUE, "tags": given})["tags"] == tags


def test_a_tag_list_in_a_text_cannot_smuggle_in_half_characters() -> None:
    assert "\ud800" not in "".join(read_one({**DIALOGUE, "tags": '["\\ud800"]'})["tags"])


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (["How much is the ThinkPad?", "It depends."], "en"),
        (["这台 ThinkPad X1 Carbon Gen 12 多少钱？"], "zh"),
        (["OK", "好的，明天给您报价"], "zh"),
        (["The word 你好 means hello in Chinese."], "en"),
        (["こんにちは、見積もりをお願いします"], None),
        (["Сколько это стоит?"], None),
        (["안녕하세요 얼마예요"], None),
        (["12345 !!! 😀"], None),
        ([], None),
    ],
)
def test_language_is_told_by_the_share_of_scripts(texts: list[str], language: str | None) -> None:
    assert detect_language(texts) == language


def test_a_language_that_the_file_names_wins_over_detection_even_when_it_is_null() -> None:
    assert read_one({**DIALOGUE, "language": "zh-CN"})["language"] == "zh"
    assert read_one({**DIALOGUE, "language": None})["language"] is None
    assert read_one(DIALOGUE)["language"] == "en"
