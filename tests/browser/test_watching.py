"""What the watch over the pages takes for a complaint."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenContext
from tests.browser.watching import Watch

pytestmark = pytest.mark.browser


def test_a_request_that_was_given_up_is_no_complaint(open_context: OpenContext, watch: Watch) -> None:
    """As by the browser when somebody leaves the page, which happens only now and then."""
    page = open_context().new_page()
    page.goto("/datasets")
    page.route("**/never", lambda _route: None)
    with page.expect_console_message(lambda message: "htmx:sendAbort" in message.text):
        page.evaluate("""() => {
            const main = document.querySelector("main")
            htmx.ajax("GET", "/never", { source: main, target: main }).catch(() => {})
            setTimeout(() => htmx.trigger(main, "htmx:abort"), 100)
        }""")
    assert watch.complaints == []


def test_what_a_page_says_for_some_seconds_stays_for_a_test_that_looks_late(
    open_context: OpenContext,
) -> None:
    page = open_context().new_page()
    page.goto("/datasets")
    page.evaluate("document.dispatchEvent(new CustomEvent('toast', { detail: { message: 'Saved.' } }))")
    expect(page.locator(".toast__text")).to_have_text("Saved.")
    assert page.evaluate("window.staying") == 1


def test_a_request_that_no_server_took_is_one(open_context: OpenContext, watch: Watch) -> None:
    page = open_context().new_page()
    page.goto("/datasets")
    page.route("**/never", lambda route: route.abort())
    with page.expect_console_message(lambda message: "htmx:sendError" in message.text):
        page.evaluate("() => { htmx.ajax('GET', '/never', 'main').catch(() => {}) }")
    assert len(watch.complaints) == 2
    watch.complaints.clear()
