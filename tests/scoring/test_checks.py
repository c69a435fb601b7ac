"""Every kind of check on English and Chinese answers, its definition errors, and its evidence."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.scoring.checks import KINDS, run_check
from app.scoring.definitions import Check
from app.scoring.findings import CheckResult, Exchange, segments
from tests.support.checks import check_of
from tests.support.processor_time import works_at_most

QUESTION = [{"role": "user", "content": "How much is it? We could spend $400."}]


def judge(answer: str, kind: str, messages: Any = (), **options: Any) -> CheckResult:
    result = run_check(check_of({"name": "tried", "kind": kind, **options}), Exchange(answer, messages))
    assert result.sentence.english()  # every template can be filled
    for start, end in result.evidence:
        assert 0 <= start < end <= len(answer)
    return result


def evidence(answer: str, result: CheckResult) -> list[str]:
    return [answer[start:end] for start, end in result.evidence]


@pytest.mark.parametrize(
    ("kind", "answer", "passed"),
    [
        ("contains_any", "We have a Team plan", True),
        ("contains_any", "Nothing here", False),
        ("contains_all", "A plan for every budget", True),
        ("contains_all", "A plan for all", False),
        ("contains_none", "A plan for all", False),
        ("contains_none", "Hello there", True),
    ],
)
def test_contains_checks_look_for_whole_phrases(kind: str, answer: str, passed: bool) -> None:
    assert judge(answer, kind, phrases=["plan", "budget"]).passed is passed


def test_contains_evidence_points_at_the_words() -> None:
    answer = "Our PLAN fits your budget; the plan is new"
    result = judge(answer, "contains_any", phrases=["plan", "budget"])
    assert evidence(answer, result) == ["PLAN", "budget", "plan"]
    assert judge(answer, "contains_any", phrases=["Plan"], case_sensitive=True).passed is False


def test_a_negated_mention_is_allowed_unless_it_counts() -> None:
    assert judge("我们不保证收益", "contains_none", phrases=["保证"]).passed
    assert not judge("我们不保证收益", "contains_none", phrases=["保证"], negated="counts").passed
    assert not judge("我们保证收益", "contains_none", phrases=["保证"]).passed


def test_regex_matches_and_can_be_turned_round() -> None:
    assert judge("Call 555-1234", "regex", pattern=r"\d{3}-\d{4}").evidence == ((5, 13),)
    assert not judge("Call 555-1234", "regex", pattern=r"\d{3}-\d{4}", expect="no_match").passed
    assert judge("HELLO", "regex", pattern="hello", ignore_case=True).passed


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$"])
def test_a_catastrophic_pattern_is_stopped_and_says_so(pattern: str) -> None:
    with works_at_most(10):
        result = judge("a" * 5_000 + "!", "regex", pattern=pattern)
    assert not result.passed
    assert "stopped" in result.sentence.template


@pytest.mark.parametrize("pattern", ["(", "[", "a{2,1}", "(?P<x>a)(?P<x>", "x" * 501, ""])
def test_an_unusable_pattern_is_refused_when_it_is_defined(pattern: str) -> None:
    with pytest.raises(ValidationError, match=r"regex\.pattern"):
        check_of({"name": "n", "kind": "regex", "pattern": pattern})


@pytest.mark.parametrize(
    ("answer", "options", "passed"),
    [
        ('{"a": 1}', {}, True),
        ('```json\n{"a": 1}\n```', {}, True),
        ('```json\n{"a": 1}\n```', {"fence": "forbidden"}, False),
        ('Here you are: {"a": 1}', {}, False),
        ('{"a": 1} I hope this helps', {}, False),
        ("[1, 2]", {}, False),
        ("[1, 2]", {"expect": "array"}, True),
        ("3", {"expect": "any"}, True),
        ('{"a": 1}', {"required_keys": ["a", "b"]}, False),
        ('[{"a": 1}, {"b": 2}]', {"expect": "array", "required_keys": ["a"]}, False),
        ("[]", {"expect": "array", "required_keys": ["a"]}, False),
        ('{"姓名": "王海涛"}', {"required_keys": ["姓名"]}, True),
        ('{"a": NaN}', {}, False),
        ('{"a": 1, "a": 2}', {}, False),
        ("{'a': 1}", {}, False),
        ('{"a": ' + "9" * 5000 + "}", {}, False),
        ("[" * 100_000, {"expect": "array"}, False),
        ("no json at all", {}, False),
    ],
)
def test_json_is_the_whole_answer_and_strict(answer: str, options: dict[str, Any], passed: bool) -> None:
    assert judge(answer, "json_valid", **options).passed is passed


def test_a_tolerated_fence_is_told() -> None:
    assert "fence" in judge('```\n{"a": 1}\n```', "json_valid").sentence.template
    assert "fence" not in judge('{"a": 1}', "json_valid").sentence.template


def test_length_limits_say_in_which_unit_they_count() -> None:
    english = judge("one two three", "max_length", limit=2)
    assert (english.passed, english.sentence.values["count"]) == (False, 3)
    assert "words" in english.sentence.template
    chinese = judge("您好，请问有几家店？", "min_length", limit=8)
    assert (chinese.passed, chinese.sentence.values["count"]) == (True, 8)
    assert "characters" in chinese.sentence.template


@pytest.mark.parametrize(
    ("answer", "language", "passed"),
    [
        ("您好，我们的 CRM 系统支持 API 对接", "zh", True),
        ("Hello, 您好", "zh", False),
        ("Our tool is called 云帆", "en", True),
        ("您好", "en", False),
        ("これはとても良い製品です", "zh", False),
        ("123", "en", False),
    ],
)
def test_language_goes_by_script(answer: str, language: str, passed: bool) -> None:
    assert judge(answer, "language", language=language).passed is passed


@pytest.mark.parametrize(
    ("answer", "anywhere", "at_end"),
    [
        ("How many agents do you have?", True, True),
        ("How many agents? I ask because it matters.", True, False),
        ("请问您有几家店？", True, True),
        ("您现在用的是收银机吗。", True, True),
        ("See https://example.test/?id=1 for more.", False, False),
        ("We are here to help.", False, False),
        ("Really?! Fine.", True, False),
    ],
)
def test_a_question_is_a_sentence_that_asks(answer: str, anywhere: bool, at_end: bool) -> None:
    assert judge(answer, "question_asked").passed is anywhere
    assert judge(answer, "question_asked", where="end").passed is at_end


@pytest.mark.parametrize(
    ("answer", "passed"),
    [
        ("Happy to help! How many agents are on your team?", True),
        ("How many agents do you have? Plans start at $29.", True),
        ("It is $29 per user. How many agents do you have?", False),
        ("Plans start at 29 dollars.", False),
        ("29 per seat, billed monthly. What is your team size?", False),
        ("With your $400, how many agents would you like to cover?", True),
        ("How can I help you today?", False),
        ("Ready to buy?", False),
        ("Tell me more.", False),
        ("您好！请问您有几家门店？", True),
        ("请问有几家店？标准版每年 9800 元。", True),
        ("标准版每年9,800元，请问您有几家店？", False),
        ("一年三千块，您要几套？", False),
        ("我们有3家分店，12个人。请问您的预算是多少？", True),
        ("有什么可以帮您？", False),
        ("两千元一套。", False),
    ],
)
def test_needs_are_asked_before_a_price_is_quoted(answer: str, passed: bool) -> None:
    assert judge(answer, "asks_before_quoting", QUESTION).passed is passed


@pytest.mark.parametrize(
    ("answer", "passed"),
    [
        ("I understand that price matters. Let us look at it.", True),
        ("That's a fair concern.", True),
        ("I’m sorry about the trouble.", True),
        ("I don't understand what you mean.", False),
        ("Our product is the best value.", False),
        ("We offer a lot. It is cheap. Buy now. I understand you.", False),
        ("理解您的顾虑，预算确实要算清楚。", True),
        ("不好意思，给您添麻烦了。", True),
        ("您说得对，我们一起看看。", True),
        ("我不理解您为什么嫌贵。", False),
        ("我们的产品功能很多。", False),
    ],
)
def test_a_concern_is_acknowledged_early_and_not_denied(answer: str, passed: bool) -> None:
    assert judge(answer, "acknowledges").passed is passed


@pytest.mark.parametrize(
    ("answer", "passed"),
    [
        ("TicketHub is garbage.", False),
        ("TicketHub is a good tool with a different focus.", True),
        ("TicketHub is not bad, and we differ in service.", True),
        ("Their support is terrible.", False),
        ("I am sorry you had a terrible experience with our widget.", True),
        ("I would never call TicketHub rubbish.", True),
        ("We filter junk mail, unlike TicketHub.", True),
        ("他们家质量很差。", False),
        ("我们和TicketHub的差异主要在售后。", True),
        ("TicketHub也不差，关键看您的需求。", True),
        ("别家都是骗子。", False),
        ("我们能过滤垃圾邮件，其他公司也能。", True),
        ("那些竞品不靠谱。", False),
        ("TicketHub 不是垃圾，只是定位不同。", True),
    ],
)
def test_rivals_are_not_disparaged(answer: str, passed: bool) -> None:
    messages = [{"role": "user", "content": "Why not TicketHub?"}]
    assert judge(answer, "no_disparagement", messages, rivals=["TicketHub"]).passed is passed


def test_they_are_not_rivals_where_nobody_spoke_of_any() -> None:
    assert judge("When they get poor service your customers leave.", "no_disparagement").passed


@pytest.mark.parametrize(
    "answer",
    [
        "We guarantee you profit.",
        "Guaranteed results within a month!",
        "Higher revenue is guaranteed.",
        "It is 100% effective.",
        "It is one hundred percent safe.",
        "This absolutely works.",
        "There is zero risk for you.",
        "You can't lose with this plan.",
        "It will double your sales.",
        "You will definitely increase revenue.",
        "我们保证盈利。",
        "稳赚不赔的生意。",
        "百分之百有效。",
        "１００％成功。",
        "绝对没问题。",
        "绝对不会亏。",
        "零风险投资。",
        "一定能翻倍。",
        "不但便宜，而且保证您回本。",
        "我们是行业第一。",
        "包您满意，包赚。",
    ],
)
def test_banned_promises_are_caught(answer: str) -> None:
    result = judge(answer, "no_banned_promises")
    assert not result.passed
    assert result.evidence


@pytest.mark.parametrize(
    "answer",
    [
        "We cannot guarantee profit.",
        "Nobody can promise you results.",
        "There is no guarantee of higher revenue.",
        "It is not 100% effective.",
        "Absolutely! I can send you the plan.",
        "I absolutely understand your concern.",
        "Start with a risk-free trial.",
        "Every plan has a 30-day money-back guarantee.",
        "It is not absolutely certain.",
        "我们不保证盈利。",
        "我们无法保证一定能翻倍。",
        "收益保证不了，但我们会尽力。",
        "这不一定能提升业绩。",
        "需要交保证金。",
        "取绝对值即可。",
        "我们会第一时间处理。",
        "没有百分之百有效的方法。",
        "谁都不敢承诺业绩增长。",
        "投资都有风险。",
    ],
)
def test_honest_sentences_are_not_taken_for_promises(answer: str) -> None:
    assert judge(answer, "no_banned_promises").passed


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_empty_answer_passes_nothing(kind: str) -> None:
    options: dict[str, Any] = {
        "contains_any": {"phrases": ["x"]},
        "contains_all": {"phrases": ["x"]},
        "contains_none": {"phrases": ["x"]},
        "regex": {"pattern": ".*"},
        "min_length": {"limit": 1},
        "max_length": {"limit": 9},
        "language": {"language": "zh"},
    }.get(kind, {})
    assert not judge(" \n", kind, **options).passed


def test_every_kind_that_can_be_defined_can_be_judged() -> None:
    schema = TypeAdapter(Check).json_schema()
    assert set(schema["discriminator"]["mapping"]) == set(KINDS)


_ANSWERS = st.text(
    alphabet=st.sampled_from('ab 您好差保证不是 ?？！.。1$元{}[]"\n他们they no'), max_size=60
) | st.text(max_size=60)


@given(_ANSWERS)
def test_every_check_judges_any_text_with_valid_evidence(answer: str) -> None:
    for kind in (
        "question_asked",
        "asks_before_quoting",
        "acknowledges",
        "no_disparagement",
        "no_banned_promises",
    ):
        judge(answer, kind, QUESTION)
    judge(answer, "json_valid", expect="any")
    judge(answer, "contains_none", phrases=["差", "no"])
    judge(answer, "language", language="zh")


@given(_ANSWERS, st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70)), max_size=6))
def test_segments_give_the_answer_back(answer: str, spans: list[tuple[int, int]]) -> None:
    assert "".join(text for text, _ in segments(answer, spans)) == answer


def test_segments_mark_the_evidence() -> None:
    assert segments("很差的", [(1, 2)]) == [("很", False), ("差", True), ("的", False)]


def test_the_title_is_shown_in_the_page_language() -> None:
    check = check_of({"name": "n", "kind": "acknowledges", "title": {"en": "Acknowledges", "zh": "回应顾虑"}})
    assert (check.label("zh_CN"), check.label("en")) == ("回应顾虑", "Acknowledges")
    assert check_of({"name": "n", "kind": "acknowledges"}).label("en") == "n"
