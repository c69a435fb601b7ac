"""Pages on paper, and text that runs from right to left."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_a_printed_page_is_light_and_holds_what_is_said_and_nothing_to_press(
    page: Page, own_dataset: dict[str, Any]
) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(f"/conversations/{own_dataset['ids'][0]}")
    expect(page.locator("#turn-1 .bubble__role")).to_be_visible()
    expect(page.locator("#turn-1 textarea")).to_be_visible()
    for away in (
        ".app-header",
        ".review-decisions .button",
        ".page-header__actions .button",
        ".keyboard-hint",
    ):
        for element in page.locator(away).all():
            expect(element).to_be_hidden()
    paper = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")
    ink = "getComputedStyle(document.querySelector('#turn-1 textarea')).color.match(/[0-9.]+/g).slice(0, 3)"
    assert all(float(part) < 100 for part in page.evaluate(ink))


def test_arabic_begins_at_the_right_in_a_page_that_reads_from_the_left(
    page: Page, own_dataset: dict[str, Any]
) -> None:
    number = own_dataset["ids"][0]
    page.goto(f"/conversations/{number}")
    page.locator("#turn-1 textarea").fill("كم السعر؟ How much")
    expect(page.locator("[data-save-state]")).to_have_attribute("data-save-state", "saved")
    page.goto(f"/conversations/{number}")
    assert page.locator("#turn-1 textarea").evaluate("e => getComputedStyle(e).unicodeBidi") == "plaintext"
    # Where the first letter stands in what is only read.
    comment = page.locator(".comment-form textarea")
    comment.fill("كم السعر؟ How much")
    page.locator(".comment-form button").click()
    text = page.locator(".comment__text")
    expect(text).to_have_count(1)
    first_letter = """e => { const r = document.createRange(); r.setStart(e.firstChild, 0); r.setEnd(e.firstChild, 1);
        return e.getBoundingClientRect().right - r.getBoundingClientRect().right }"""
    assert text.evaluate(first_letter) < 30
