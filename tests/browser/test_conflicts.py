"""Two people in one conversation: the slower one sees both texts, and nothing is overwritten."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenContext
from tests.browser.studio import Studio
from tests.browser.watching import Watch, assert_accessible

pytestmark = pytest.mark.browser

FIRST = "The first to save wrote this."
SECOND = "The second wrote this without knowing."


def test_the_slower_of_two_editors_sees_both_texts_and_overwrites_nothing(
    open_context: OpenContext, own_dataset: dict[str, Any], studio: Studio, watch: Watch
) -> None:
    conversation = own_dataset["ids"][0]
    quick, slow = (open_context().new_page() for _ in range(2))
    for page in (quick, slow):
        page.goto(f"/conversations/{conversation}")
    _write(quick, FIRST)
    expect(quick.locator("[data-save-state]")).to_have_attribute("data-save-state", "saved")
    watch.expected_statuses |= {409}
    _write(slow, SECOND)
    dialog = slow.get_by_role("dialog", name="Somebody else changed this conversation")
    expect(dialog.get_by_text(FIRST)).to_be_visible()
    expect(dialog.get_by_label("Your text")).to_have_value(SECOND)
    assert _stored(studio, conversation) == FIRST
    assert_accessible(slow)

    dialog.get_by_role("button", name="Save my text").click()
    expect(dialog).to_be_hidden()
    expect(slow.get_by_label("Text of turn 2")).to_have_value(SECOND)
    assert _stored(studio, conversation) == SECOND


def test_who_takes_the_stored_text_loses_only_their_own(
    open_context: OpenContext, own_dataset: dict[str, Any], studio: Studio, watch: Watch
) -> None:
    conversation = own_dataset["ids"][0]
    quick, slow = (open_context().new_page() for _ in range(2))
    for page in (quick, slow):
        page.goto(f"/conversations/{conversation}")
    _write(quick, FIRST)
    expect(quick.locator("[data-save-state]")).to_have_attribute("data-save-state", "saved")
    watch.expected_statuses |= {409}
    _write(slow, SECOND)
    slow.get_by_role("link", name="Take the stored text").click()
    expect(slow.get_by_label("Text of turn 2")).to_have_value(FIRST)
    expect(slow.get_by_role("dialog")).to_have_count(0)
    assert _stored(studio, conversation) == FIRST


def _write(page: Page, text: str) -> None:
    """Type, and wait until the server has answered."""
    with page.expect_response(lambda response: response.url.endswith("/turns/1")):
        page.get_by_label("Text of turn 2").fill(text)


def _stored(studio: Studio, conversation: int) -> str:
    with studio.api() as api:
        found = api.get(f"/conversations/{conversation}").raise_for_status().json()
    text: str = found["messages"][1]["content"]
    return text
