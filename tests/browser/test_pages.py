"""Every main page: accessible, no wider than a phone, free of complaints, and wholly Chinese for Chinese readers."""

import re
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenContext
from tests.browser.studio import Studio
from tests.browser.watching import assert_accessible

pytestmark = pytest.mark.browser

# {dataset} and {conversation} stand for the seeded ones.
PAGES: Final = {
    "datasets": "/datasets",
    "new dataset": "/datasets/new",
    "dataset": "/datasets/{dataset}",
    "import": "/datasets/{dataset}/import",
    "imports": "/datasets/{dataset}/imports",
    "versions": "/datasets/{dataset}/versions",
    "dataset settings": "/datasets/{dataset}/settings",
    "archived datasets": "/datasets?archived=true",
    "download": "/datasets/{dataset}/versions/1/download",
    "conversation": "/conversations/{conversation}",
    "mask preview": "/conversations/{conversation}/mask",
    "help on masking": "/help/masking",
    "base models": "/base-models",
    "runs": "/runs",
    "new run": "/runs/new",
    "evaluations": "/evaluations",
    "playground": "/playground",
    "account": "/account",
    "change password": "/account/password",
    "people": "/people",
    "audit": "/audit",
}
HEADINGS_IN_CHINESE: Final = {
    "datasets": "数据集",
    "base models": "基座模型",
    "runs": "训练任务",
    "new run": "新建训练任务",
    "evaluations": "评测",
}
# Words of English that belong to Chinese pages too: names of products, formats, fields and units.
KEPT: Final = re.compile(
    r"^(SFT|Studio|SmolLM2|Instruct|EN|LoRA|QLoRA|TRL|PEFT|OpenAI|ShareGPT|Alpaca|CSV|Parquet|JSON|Lines|API|REST"
    r"|LLaMA|Factory|Axolotl|messages|zip|CI|ID|GPU|Hugging|Face|Hub|Qwen|Jinja|SHA|Shift|Enter|Esc|Tab|Home|End|Page|Up|Down|token|tokens|epoch|NaN|abc|Alpha|Dropout)$",
    re.IGNORECASE,
)
# Names of the seeded data set, its conversations and of the accounts.
_WRITTEN_BY_PEOPLE: Final = re.compile(
    r"Little one|Caller \d+: what can your [A-Za-z ]+ do\?|Seeded for looking|Mei Lin|local( \(command line\))?|seed\.jsonl"
)


@pytest.fixture
def seeded(studio: Studio, seeded: dict[str, Any]) -> dict[str, Any]:
    """The seeded dataset with a version, so that the pages of versions have something to show."""
    with studio.api() as api:
        path = f"/datasets/{seeded['id']}"
        approved = {"state": "approved", "conversation_ids": seeded["ids"][:1]}
        api.post(f"{path}/review", json=approved).raise_for_status()
        api.post(f"{path}/versions").raise_for_status()
    return seeded


def _address(name: str, seeded: dict[str, Any]) -> str:
    return PAGES[name].format(dataset=seeded["id"], conversation=seeded["ids"][0])


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_on_desktop_and_phone_in_light_and_dark(
    page: Page, seeded: dict[str, Any], name: str
) -> None:
    response = page.goto(_address(name, seeded))
    assert response is not None
    assert response.status == 200
    assert_accessible(page)


def test_pages_before_sign_in_are_accessible(open_context: OpenContext, studio: Studio) -> None:
    page = open_context(signed=False).new_page()
    for path in ("/login", studio.sign_in_link()):
        page.goto(path)
        assert_accessible(page)


def test_a_link_from_the_terminal_signs_in_once(open_context: OpenContext, studio: Studio) -> None:
    link = studio.sign_in_link()
    page = open_context(signed=False).new_page()
    page.goto(link)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/datasets")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_a_used_link_signs_nobody_in(open_context: OpenContext, studio: Studio, watch: Any) -> None:
    link = studio.sign_in_link()
    for page in (open_context(signed=False).new_page() for _ in range(2)):
        page.goto(link)
        watch.expected_statuses |= {422}
        page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("This sign-in link was used already")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)


@pytest.mark.parametrize("name", PAGES)
def test_a_chinese_page_has_no_english_left(
    open_context: OpenContext, seeded: dict[str, Any], name: str
) -> None:
    page = open_context(locale="zh-CN").new_page()
    page.goto(_address(name, seeded))
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.get_by_role("link", name="数据集", exact=True).first).to_be_visible()
    if name in HEADINGS_IN_CHINESE:
        expect(page.get_by_role("heading", level=1)).to_have_text(HEADINGS_IN_CHINESE[name])
    assert _english_texts(page) == []


def _english_texts(page: Page) -> list[str]:
    """Visible texts of the page's own with a run of English words. What people wrote is left out, and code."""
    texts: list[str] = page.evaluate(
        """() => {
            const found = [];
            const not_ours = "code, pre, kbd, script, template, textarea, [lang=en], [hx-disable], .row-link,"
                + " .user-card, .reference, .mask-line__tokens, option";
            // Names that people gave, which labels repeat ("Compare NAME").
            const names = [...document.querySelectorAll(".row-link")].map(link => link.textContent.trim()).filter(Boolean);
            const without_names = text => names.reduce((left, name) => left.replaceAll(name, "。"), text);
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            for (let node = walker.nextNode(); node; node = walker.nextNode()) {
                const parent = node.parentElement;
                if (!parent.closest(not_ours) && parent.checkVisibility()) found.push(node.data.trim());
            }
            for (const element of document.querySelectorAll("[aria-label], [title], [placeholder]"))
                if (!element.closest(not_ours))
                    for (const name of ["aria-label", "title", "placeholder"])
                        if (element.hasAttribute(name)) found.push(without_names(element.getAttribute(name).trim()));
            return [...new Set(found)].filter(Boolean);
        }"""
    )
    return [text for text in texts if _has_english(text)]


def _has_english(text: str) -> bool:
    """A text of one English word, or with two in a row. Single ones within Chinese are names, fields or units."""
    words = re.sub(r"\S*[/_.\\@]\S*", "。", _WRITTEN_BY_PEOPLE.sub("。", text))
    parts = re.findall(r"[A-Za-z]+|[^A-Za-z\s]+", words)
    kept = " ".join("。" if KEPT.match(part) else part for part in parts)
    return re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}|^[A-Za-z]{2,}$", kept) is not None
