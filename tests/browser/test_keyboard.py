"""A reviewer's hands stay on the keyboard."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_j_and_k_walk_through_the_conversations(page: Page, own_dataset: dict[str, Any]) -> None:
    first, second, _third = own_dataset["ids"]
    page.goto(f"/conversations/{first}")
    page.keyboard.press("j")
    page.wait_for_url(f"**/conversations/{second}*")
    page.keyboard.press("k")
    page.wait_for_url(f"**/conversations/{first}*")


def test_a_approves_the_conversation(page: Page, own_dataset: dict[str, Any]) -> None:
    page.goto(f"/conversations/{own_dataset['ids'][0]}")
    expect(page.locator("#review-panel")).to_contain_text("Draft")
    page.keyboard.press("a")
    expect(page.locator("#review-panel")).to_contain_text("Approved")


def test_a_letter_typed_into_a_turn_is_text_and_no_command(page: Page, own_dataset: dict[str, Any]) -> None:
    page.goto(f"/conversations/{own_dataset['ids'][0]}")
    turn = page.get_by_label("Text of turn 1")
    turn.click()
    turn.press("End")
    with page.expect_response(lambda response: response.url.endswith("/turns/0")):
        page.keyboard.type("aj?")
    expect(turn).to_have_value(re.compile(r"aj\?$"))
    expect(page.locator("#review-panel")).to_contain_text("Draft")
    expect(page).to_have_url(f"/conversations/{own_dataset['ids'][0]}")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_question_mark_lists_the_keys_of_the_page(page: Page, seeded: dict[str, Any]) -> None:
    page.goto(f"/conversations/{seeded['ids'][0]}")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog.get_by_text("Next conversation")).to_be_visible()
    expect(dialog.get_by_text("Approve", exact=True)).to_be_visible()
    for said in (
        "Walk from turn to turn",
        "Save and edit the next turn",
        "Close what is open: a dialog, a menu",
    ):
        expect(dialog.get_by_text(said)).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_turns_are_walked_edited_and_flagged_by_keys(page: Page, own_dataset: dict[str, Any]) -> None:
    page.goto(f"/conversations/{own_dataset['ids'][0]}")
    for turn in (1, 2):
        page.keyboard.press("ArrowDown")
        expect(page.locator(f"#turn-{turn}")).to_be_focused()
    page.keyboard.press("t")
    expect(page.locator("#turn-2").get_by_role("button", name="Always trained")).to_be_visible()
    expect(page.locator("#turn-2")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Text of turn 2")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#turn-2")).to_be_focused()


def test_a_hand_quicker_than_the_page_settles_is_not_pulled_back(
    page: Page, own_dataset: dict[str, Any]
) -> None:
    page.goto(f"/conversations/{own_dataset['ids'][0]}")
    page.evaluate("htmx.config.defaultSettleDelay = 500")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("t")
    expect(page.locator("#turn-1").get_by_role("button", name="Always trained")).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.type("!")
    expect(page.locator("#turns.htmx-settling")).to_have_count(0)
    expect(page.get_by_label("Text of turn 1")).to_be_focused()
    expect(page.get_by_label("Text of turn 1")).to_have_value(re.compile("!$"))
