"""The built-in suites are sound, and a broken suite is refused with its file and field."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from app.scoring.checks import KINDS, run_checks
from app.scoring.findings import Exchange
from app.scoring.suites import SuiteRefused, built_in_suites, load_suite, parse_suite

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


@pytest.mark.parametrize(
    ("suite", "field"),
    [
        ([], "suite"),
        (change(["name"], ""), "name"),
        (change(["title"], {"en": "Mine"}), "title.zh"),
        (change(["description"], None), "description"),
        (change(["language"], "fr"), "language"),
        (change(["kind"], "other"), "kind"),
        (change(["prompts"], []), "prompts"),
        (change(["extra"], 1), "suite.extra"),
        (change(["prompts"], SUITE["prompts"] * 2), "prompts[1].key"),
        (change(["prompts", 0, "messages"], []), "prompts[0].messages"),
        (change(["prompts", 0, "messages", 0, "role"], "robot"), "prompts[0].messages[0].role"),
        (change(["prompts", 0, "messages", 0, "role"], "assistant"), "prompts[0].messages"),
        (change(["prompts", 0, "messages", 0, "content"], 3), "prompts[0].messages[0].content"),
        (change(["prompts", 0, "messages", 0, "content"], "x" * 20_001), "prompts[0].messages[0].content"),
        (change(["prompts", 0, "checks"], []), "prompts[0].checks"),
        (change(["prompts", 0, "checks", 0, "kind"], "nonsense"), "prompts[0].checks[0].kind"),
        (change(["prompts", 0, "hints"], [[]]), "prompts[0].hints[0]"),
        (change(["prompts", 0, "hints"], "x"), "prompts[0].hints"),
        (change(["prompts", 0, "expected_length"], 0), "prompts[0].expected_length"),
        (change(["prompts", 0, "rivals"], "TicketHub"), "prompts[0].rivals"),
    ],
)  # fmt: skip
def test_a_broken_suite_is_refused_by_field(suite: Any, field: str) -> None:
    with pytest.raises(SuiteRefused) as refusal:
        parse_suite(suite, "mine.json")
    assert refusal.value.field == field
    assert str(refusal.value).startswith(f"mine.json: {field} ")


def test_a_file_that_is_not_json_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "half.json"
    path.write_text(json.dumps(SUITE)[:-5])
    with pytest.raises(SuiteRefused, match=r"half\.json: file is not JSON"):
        load_suite(path)
