"""Folding, sentences, length and content units in both languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scoring.phrases import find_phrase, is_negated
from app.scoring.text import content_units, fold, measure, scripts, sentences


@given(st.text())
def test_folding_never_moves_a_character(text: str) -> None:
    assert len(fold(text)) == len(text)


@given(st.text())
def test_sentences_lie_in_order_inside_the_text(text: str) -> None:
    position = 0
    for start, end in sentences(text):
        assert position <= start < end <= len(text)
        position = end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It costs 1.5 percent. Shall we talk?", ["It costs 1.5 percent.", "Shall we talk?"]),
        ("好的。您几家店？谢谢！", ["好的。", "您几家店？", "谢谢！"]),
        ("One\ntwo", ["One", "two"]),
        ("  ", []),
        ("\x1f", []),
        ("Yes.\x1f", ["Yes."]),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(fold(text))] == expected


@pytest.mark.parametrize(
    ("text", "total", "chinese"),
    [
        ("We don't discount, sorry.", 4, False),
        ("It costs 1,200.50 dollars", 4, False),
        ("您好，欢迎光临！", 6, True),
        ("我们的 CRM 支持 3 家店", 9, True),
        ("", 0, False),
    ],
)
def test_length_counts_words_in_english_and_characters_in_chinese(
    text: str, total: int, chinese: bool
) -> None:
    assert (measure(text).total, measure(text).chinese) == (total, chinese)


def test_script_shares_tell_the_languages_apart() -> None:
    assert scripts("我们的 CRM 系统很稳定").share("zh") > 0.7
    assert scripts("Our system is stable").share("en") == 1
    assert scripts("Это хорошая система").share("en") == 0
    assert scripts("42").share("en") == 0


def test_content_units_join_word_forms_and_pair_characters() -> None:
    assert content_units("The prices are high") & content_units("What is your pricing? Priced how?")
    assert content_units("planning") == content_units("plans")
    assert "价格" in content_units("你们的价格太贵了")
    assert content_units("的了吗") == frozenset()


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("两家的差异在服务", "差", False),
        ("他常出差", "差", False),
        ("质量差", "差", True),
        ("有差异，但质量很差", "差", True),
        ("请把垃圾邮件过滤掉", "垃圾", False),
        ("那是垃圾", "垃圾", True),
        ("需要交保证金", "保证", False),
        ("贵公司有几家店", "贵", False),
        ("太贵了", "贵", True),
        ("an important point", "port", False),
        ("We export data", "export", True),
        ("many discounts", "discount", False),
        ("many discounts", "discount*", True),
        ("COST OF OWNERSHIP", "cost  of ownership", True),
        ("１００％", "100%", True),
        ("I can’t say", "can't", True),
    ],
)
def test_a_phrase_is_found_only_as_itself(text: str, phrase: str, found: bool) -> None:
    assert bool(find_phrase(fold(text), phrase)) is found


def test_an_exception_of_the_definition_counts_like_a_built_in_one() -> None:
    assert find_phrase("云朵很白", "云") == [(0, 1)]
    assert find_phrase("云朵很白", "云", exceptions=["云朵"]) == []


@pytest.mark.parametrize(
    ("text", "phrase", "negated"),
    [
        ("We cannot guarantee it", "guarantee", True),
        ("I can’t honestly guarantee that", "guarantee", True),
        ("There is no guarantee", "guarantee", True),
        ("No one can guarantee that", "guarantee", True),
        ("We guarantee it", "guarantee", False),
        ("Do not worry, we guarantee it", "guarantee", False),
        ("It is not cheap but we guarantee it", "guarantee", False),
        ("Not only do we guarantee it", "guarantee", False),
        ("There is no doubt we guarantee it", "guarantee", False),
        ("我们不保证收益", "保证", True),
        ("谁也没法向您保证", "保证", True),
        ("这个保证不了", "保证", True),
        ("没问题，我们保证", "保证", False),
        ("不但便宜，我们还保证", "保证", False),
        ("我们非常有把握地保证", "保证", False),
        ("别人不行，我们保证", "保证", False),
        ("毫无疑问我们保证", "保证", False),
    ],
)
def test_negation_governs_its_own_clause_only(text: str, phrase: str, negated: bool) -> None:
    folded = fold(text)
    [span] = find_phrase(folded, phrase)
    assert is_negated(folded, span) is negated
