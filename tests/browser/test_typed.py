"""What was typed and not sent is there again after a reload, the way back, and signing in again."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, USER
from tests.browser.studio import Studio
from tests.browser.watching import Watch

BACK = "What you had typed is here again."

pytestmark = pytest.mark.browser


def sign_in_again(page: Page) -> None:
    """On the page that a request led to whose session was over."""
    page.wait_for_url("**/login**")
    page.get_by_label("User name").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_a_turn_is_not_taken_for_saved_by_a_session_that_was_over(
    page: Page, own_dataset: dict[str, Any], watch: Watch
) -> None:
    watch.expected_statuses.add(401)
    page.goto(f"/conversations/{own_dataset['ids'][0]}")
    field = page.locator("#turn-2 textarea")
    page.context.clear_cookies()
    field.fill("Words that nobody has stored")
    sign_in_again(page)
    expect(page.locator("#turn-2 textarea")).to_have_value("Words that nobody has stored")
    expect(page.locator("[data-save-state]")).to_have_attribute("data-save-state", "saved")
    page.reload()
    expect(page.locator("#turn-2 textarea")).to_have_value("Words that nobody has stored")


def test_a_comment_is_there_again_after_signing_in_and_gone_when_it_is_sent(
    page: Page, own_dataset: dict[str, Any], watch: Watch
) -> None:
    watch.expected_statuses.add(401)
    page.goto(f"/conversations/{own_dataset['ids'][0]}")
    page.context.clear_cookies()
    page.locator(".comment-form textarea").fill("Please look once more")
    page.locator(".comment-form button").click()
    sign_in_again(page)
    field = page.locator(".comment-form textarea")
    expect(field).to_have_value("Please look once more")
    expect(page.locator(".toast__text")).to_contain_text(BACK)
    page.locator(".comment-form button").click()
    expect(field).to_have_value("")
    expect(page.locator("#discussion")).to_contain_text("Please look once more")
    page.reload()
    expect(field).to_have_value("")


def test_a_form_is_filled_after_a_reload_and_the_way_back_and_empty_when_opened_anew(
    page: Page, own_dataset: dict[str, Any]
) -> None:
    address = f"/datasets/{own_dataset['id']}/conversations/new"
    page.goto(address)
    page.locator("[name=asked]").fill("How much is it?")
    page.reload()
    expect(page.locator("[name=asked]")).to_have_value("How much is it?")
    page.get_by_role("link", name="Base models").click()
    page.wait_for_url("**/base-models")
    page.go_back()
    expect(page.locator("[name=asked]")).to_have_value("How much is it?")
    page.goto("/datasets")
    page.goto(address)
    expect(page.locator("[name=asked]")).to_have_value("")


def test_choices_come_back_also_where_a_field_is_called_as_what_a_form_has(page: Page) -> None:
    page.goto("/recipes/new")
    page.evaluate(
        "document.querySelector('#main form').insertAdjacentHTML('beforeend', '<input name=method>')"
    )
    page.locator("[name=name]").fill("Nightly")
    page.locator("[name=shared][value=true]").check(force=True)
    page.reload()
    expect(page.locator("[name=name]")).to_have_value("Nightly")
    expect(page.locator("[name=shared][value=true]")).to_be_checked()


def test_a_ticked_row_is_ticked_again_and_no_other_where_the_list_has_changed(
    page: Page, studio: Studio, own_dataset: dict[str, Any]
) -> None:
    first, second, _third = own_dataset["ids"]
    page.goto(f"/datasets/{own_dataset['id']}")
    page.locator(f"input[type=checkbox][value='{second}']").check()
    page.get_by_role("link", name="Base models").click()
    page.wait_for_url("**/base-models")
    with studio.api() as api:
        assert api.delete(f"/conversations/{first}").is_success
    page.go_back()
    expect(page.locator(f"input[type=checkbox][value='{second}']")).to_be_checked()
    expect(page.locator("tbody input[type=checkbox]:checked")).to_have_count(1)
    expect(page.locator(".toast__text")).to_have_count(0)


def test_what_comes_back_is_seen_also_where_it_stood_in_a_part_that_is_closed(
    page: Page, own_dataset: dict[str, Any]
) -> None:
    page.goto(f"/datasets/{own_dataset['id']}/import")
    field = page.locator("[name=pasted]")
    page.locator("details:has([name=pasted]) > summary").click()
    field.fill("Customer: How much?")
    page.reload()
    expect(field).to_have_value("Customer: How much?")
    expect(field).to_be_visible()


def test_passwords_and_secrets_are_not_kept(page: Page) -> None:
    page.goto("/people")
    page.locator("[name=name]").last.fill("Somebody new")
    page.locator("[name=password]").fill("secret sentence")
    page.goto("/webhooks")
    page.locator("[name=secret]").fill("secret sentence")
    page.goto("/datasets")
    kept = page.evaluate("JSON.stringify(sessionStorage)")
    assert "secret sentence" not in kept
    assert "Somebody new" not in kept
