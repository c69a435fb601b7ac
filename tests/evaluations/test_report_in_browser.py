"""The report by keyboard in a real browser: cases unfold, long answers too, differences are marked, nothing is endless."""

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from tests.browser.watching import assert_accessible
from tests.support.judged import GOOD, judged
from tests.support.live import serving, signed_in
from tests.support.people import Person

pytestmark = pytest.mark.browser


@pytest.fixture
def report(app: FastAPI, browser: Browser, engineer: Person) -> Iterator[Page]:
    """A report of which every tuned answer is far longer than eight lines."""
    evaluation = judged(app, good="\n".join([GOOD] * 20))
    with serving(app) as url, signed_in(browser, url, engineer) as context:
        page = context.new_page()
        page.goto(f"{url}/evaluations/{evaluation.id}")
        yield page


def test_cases_are_walked_unfolded_compared_and_filtered_by_keys(report: Page) -> None:
    page = report
    assert page.evaluate("document.documentElement.scrollHeight") < 2500
    first, second = page.locator("[data-case]").nth(0), page.locator("[data-case]").nth(1)
    page.keyboard.press("j")
    expect(first).to_have_attribute("open", "")
    page.keyboard.press("j")
    expect(second).to_have_attribute("open", "")
    expect(first).not_to_have_attribute("open", "")
    expect(second.locator(".case__summary")).to_be_focused()
    expect(page).to_have_url(re.compile(f"#{second.get_attribute('id')}$"))

    text = second.locator(".answer--tuned .case__text--evidence")
    folded = text.evaluate("element => element.clientHeight")
    second.get_by_role("button", name="Show all").click()
    assert text.evaluate("element => element.clientHeight") > 2 * folded
    page.keyboard.press("d")
    expect(second.locator(".diff--added").first).to_be_visible()
    assert_accessible(page)

    page.reload()
    expect(second).to_have_attribute("open", "")
    page.keyboard.press("s")
    page.wait_for_url("**show=same**")
    expect(page.locator("[data-case]")).to_have_count(
        int(page.locator(".pill[data-shortcut=s] .count").inner_text())
    )
    page.go_back()
    expect(page.get_by_role("heading", name="Cases")).to_be_visible()
    expect(page.locator("[data-case]")).to_have_count(16)
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    for said in (
        "Next case",
        "Previous case",
        "Mark the words that differ",
        "Worse",
        "Open or fold the case",
    ):
        expect(keys.get_by_text(said).first).to_be_visible()
