"""The built-in suites are sound, and a broken suite is refused with its file and field."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from app.core.i18n import Locale, say, use_locale
from app.scoring.checks import KINDS, run_checks
from app.scoring.findings import Exchange
from app.scoring.suites import SuiteRefused, built_in_suites, load_suite, parse_suite

# Stored evaluations and reports name suites by them: the same content keeps its hash.
HASHES = {
    "general-en": "c18c2c72bd3d3a1eeb0a15ba1cb5e8da1bd0b77db449cd589c4ee649731dda38",
    "general-zh": "69d1f208d370c66669c3eeedd9347393cf9ca776750a8e1a5882c8b798a4b8e6",
    "sales-en": "9c55251593363be4d7d5621b11367b58f5e97c41eb4f5f976efda07070b6f030",
    "sales-zh": "168b17de2d04c7930f2f82403e570188d94241b55ce3dfe22298e0ba7f0dbec4",
}
SUITE: dict[str, Any] = {
    "name": "mine",
    "title": {"en": "Mine", "zh": "我的"},
    "description": {"en": "Mine", "zh": "我的"},
    "language": "en",
    "kind": "sales",
    "prompts": [
        {
            "key": "hello",
            "title": {"en": "Hello", "zh": "你好"},
            "messages": [{"role": "user", "content": "Hello"}],
            "checks": [{"name": "asks", "kind": "question_asked"}],
        }
    ],
}


def test_the_built_in_suites_cover_both_languages() -> None:
    suites = built_in_suites()
    assert set(suites) == {"sales-en", "sales-zh", "general-en", "general-zh"}
    for name, suite in suites.items():
        assert suite.name == name
        assert suite.language == name[-2:]
        assert suite.kind == name[:-3]
        assert len(suite.prompts) >= (12 if suite.kind == "sales" else 16)


def test_the_built_in_suites_keep_their_hashes() -> None:
    assert {name: suite.hash for name, suite in built_in_suites().items()} == HASHES


def test_the_sales_suites_use_every_conduct_check_and_ask_for_json() -> None:
    for name in ("sales-en", "sales-zh"):
        kinds = {check.kind for prompt in built_in_suites()[name].prompts for check in prompt.checks}
        assert {
            "asks_before_quoting",
            "acknowledges",
            "no_disparagement",
            "no_banned_promises",
            "json_valid",
        } <= kinds
        assert kinds <= set(KINDS)


def test_every_check_of_the_built_in_suites_has_a_title_in_both_languages() -> None:
    for suite in built_in_suites().values():
        for prompt in suite.prompts:
            for check in prompt.checks:
                assert set(check.title) == {"en", "zh"}, f"{suite.name}/{prompt.key}/{check.name}"


@pytest.mark.parametrize(
    ("suite", "key", "good", "bad"),
    [
        ("sales-en", "price-enquiry", "Happy to help! How many agents are on your team?", "It is $29."),
        ("sales-en", "json-lead",
         '{"name":"Dana Ruiz","company":"Northwind Logistics","team_size":35,"interest":"chat"}',
         "Dana Ruiz of Northwind Logistics, 35 people"),
        ("sales-zh", "price-enquiry", "您好！请问您有几家门店，主要想解决什么问题？", "9800 元一年。"),
        ("sales-zh", "guarantee", "说实话，谁也无法保证营业额翻倍，效果取决于门店的经营。",
         "当然，我们保证营业额翻倍！"),
        ("sales-zh", "json-lead",
         '{"姓名":"王海涛","公司":"味之源餐饮","门店数":12,"需求":"会员积分"}',
         "王海涛，味之源，12 家"),
        ("general-en", "capital-france", "It is Paris.", "It is Lyon."),
        ("general-en", "python-hello", 'print("hello")', "say hello"),
        ("general-zh", "poem", "疑是地上霜。", "举头望明月。"),
    ],
)  # fmt: skip
def test_a_good_answer_passes_and_a_bad_one_fails(suite: str, key: str, good: str, bad: str) -> None:
    loaded = built_in_suites()[suite]
    prompt = loaded.prompt(key)
    assert prompt is not None

    def failures(answer: str) -> list[str]:
        results = run_checks(prompt.checks, Exchange(answer, prompt.messages, loaded.language))
        return [f"{result.name}: {result.sentence.english()}" for result in results if not result.passed]

    assert failures(good) == []
    assert failures(bad) != []


def test_the_hash_follows_the_content_and_not_the_layout() -> None:
    reordered = dict(reversed(list(SUITE.items())))
    changed = copy.deepcopy(SUITE)
    changed["prompts"][0]["messages"][0]["content"] = "Hi"
    assert parse_suite(SUITE, "x").hash == parse_suite(reordered, "y").hash
    assert parse_suite(SUITE, "x").hash != parse_suite(changed, "x").hash


def change(path: list[Any], value: Any) -> dict[str, Any]:
    suite = copy.deepcopy(SUITE)
    place: Any = suite
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return suite


def change_check(**changes: Any) -> dict[str, Any]:
    """The suite with other fields of its one check; None leaves one out."""
    check = {**SUITE["prompts"][0]["checks"][0], **changes}
    return change(
        ["prompts", 0, "checks", 0], {key: value for key, value in check.items() if value is not None}
    )


@pytest.mark.parametrize(
    ("suite", "place"),
    [
        ([], "mine.json"),
        (change(["name"], ""), "mine.json › name"),
        (change(["title"], {"en": "Mine"}), "mine.json › title.zh"),
        (change(["description"], None), "mine.json › description"),
        (change(["language"], "fr"), "mine.json › language"),
        (change(["kind"], "other"), "mine.json › kind"),
        (change(["prompts"], []), "mine.json › prompts"),
        (change(["prompts"], SUITE["prompts"] * 501), "mine.json › prompts"),
        (change(["prompts", 0], "x"), "mine.json › prompts[0]"),
        (change(["prompts", 0, "key"], " "), "mine.json › prompts[0] › key"),
        (change(["prompts", 0, "messages"], []), "mine.json › hello › messages"),
        (change(["prompts", 0, "messages", 0, "role"], "robot"), "mine.json › hello › messages[0].role"),
        (change(["prompts", 0, "messages", 0, "role"], "assistant"), "mine.json › hello › messages"),
        (change(["prompts", 0, "messages", 0, "content"], 3), "mine.json › hello › messages[0].content"),
        (change(["prompts", 0, "messages", 0, "content"], "x" * 20_001),
         "mine.json › hello › messages[0].content"),
        (change(["prompts", 0, "checks"], []), "mine.json › hello › checks"),
        (change(["prompts", 0, "hints"], [[]]), "mine.json › hello › hints[0]"),
        (change(["prompts", 0, "hints"], "x"), "mine.json › hello › hints"),
        (change(["prompts", 0, "expected_length"], 0), "mine.json › hello › expected_length"),
        (change(["prompts", 0, "rivals"], "TicketHub"), "mine.json › hello › rivals"),
        (change(["prompts", 0, "checks", 0], []), "mine.json › hello › checks[0]"),
        (change_check(name=None), "mine.json › hello › checks[0] › name"),
        (change_check(kind="nonsense"), "mine.json › hello › asks › kind"),
        (change_check(kind=None), "mine.json › hello › asks › kind"),
        (change_check(kind="contains_any"), "mine.json › hello › asks › phrases"),
        (change_check(kind="contains_any", phrases="price"), "mine.json › hello › asks › phrases"),
        (change_check(kind="contains_any", phrases=["a", "*"]), "mine.json › hello › asks › phrases[1]"),
        (change_check(kind="contains_any", phrases=["x" * 201]), "mine.json › hello › asks › phrases[0]"),
        (change_check(kind="min_length", limit=0), "mine.json › hello › asks › limit"),
        (change_check(kind="min_length", limit=True), "mine.json › hello › asks › limit"),
        (change_check(kind="min_length", limit=2.0), "mine.json › hello › asks › limit"),
        (change_check(kind="language", language="fr"), "mine.json › hello › asks › language"),
        (change_check(kind="language", language="en", min_share=1.5), "mine.json › hello › asks › min_share"),
        (change_check(kind="language", language="en", min_share=True), "mine.json › hello › asks › min_share"),
        (change_check(title="x"), "mine.json › hello › asks › title"),
        (change_check(title={"en": " "}), "mine.json › hello › asks › title.en"),
        (change_check(kind="regex", pattern="("), "mine.json › hello › asks › pattern"),
        (change_check(kind="regex", pattern="a", ignore_case="yes"), "mine.json › hello › asks › ignore_case"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_a_fault_is_one_sentence_naming_suite_prompt_check_and_field(
    suite: Any, place: str, locale: Locale
) -> None:
    with pytest.raises(SuiteRefused) as refusal:
        parse_suite(suite, "mine.json")
    (fault,) = refusal.value.wrong
    with use_locale(locale):
        sentence = say(fault.sentence)
    assert f"{place} " in sentence or sentence.endswith(f"{place}。")
    assert sentence.endswith("." if locale == "en" else "。")
    assert ("must" in sentence or "is " in sentence) is (locale == "en")


def test_what_a_suite_does_not_know_is_refused_by_name() -> None:
    for suite, place in (
        (change(["extra"], 1), "mine.json › extra"),
        (change_check(phrase=["a"]), "mine.json › hello › asks › phrase"),
    ):
        with pytest.raises(SuiteRefused, match=f"There is no field {place} here"):
            parse_suite(suite, "mine.json")


def test_all_faults_of_a_suite_are_told_at_once() -> None:
    suite = change(["language"], "fr")
    suite["prompts"][0]["checks"].append({"name": "short", "kind": "max_length", "limit": 0})
    with pytest.raises(SuiteRefused) as refusal:
        parse_suite(suite, "mine.json")
    assert str(refusal.value).splitlines() == [
        "mine.json › language must be one of: en, zh.",
        "mine.json › hello › short › limit must be at least 1.",
    ]


def test_prompts_are_told_apart_by_their_keys() -> None:
    with pytest.raises(
        SuiteRefused, match=r"mine\.json › prompts must have different keys, and “hello” is used twice"
    ):
        parse_suite(change(["prompts"], SUITE["prompts"] * 2), "mine.json")


def test_null_leaves_an_option_at_its_default() -> None:
    suite = change_check(kind="language", language="en")
    suite["prompts"][0]["checks"][0]["min_share"] = None
    suite["prompts"][0]["rivals"] = None
    (prompt,) = parse_suite(suite, "mine.json").prompts
    assert prompt.rivals == ()
    assert prompt.checks[0].model_dump(exclude={"title"}) == {
        "name": "asks", "kind": "language", "language": "en", "min_share": 0.6,
    }  # fmt: skip


def test_a_file_that_is_not_json_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "half.json"
    path.write_text(json.dumps(SUITE)[:-5])
    with pytest.raises(SuiteRefused, match=r"half\.json is not JSON in UTF-8"):
        load_suite(path)
