"""A server that is away is told of once, also by a page that asks every few seconds, and no longer than it is away."""

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from tests.support.live import signed_in
from tests.support.people import Person

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("silent_bell")]
# As a page asks by itself: nobody has pressed anything.
ASK = "() => htmx.ajax('GET', '/queue', { target: '#queue', swap: 'outerHTML' }).catch(() => {})"


def ask(page: Page, times: int = 1) -> None:
    for _ in range(times):
        page.evaluate(ASK)


def test_a_server_that_is_away_is_told_of_once_and_no_longer_than_that(
    app: FastAPI, browser: Browser, url: str, admin: Person
) -> None:
    assert admin.api.post("/api/v1/queue/pause", json={"reason": "Maintenance"}).is_success
    with signed_in(browser, url, admin) as context:
        page = context.new_page()
        page.goto(f"{url}/queue")
        toasts = page.locator(".toast")
        context.route("**/queue**", lambda route: route.abort())
        ask(page, 3)
        expect(toasts).to_have_count(1)
        expect(toasts).to_contain_text("The server cannot be reached")
        toasts.locator("[data-toast-close]").click()
        ask(page, 2)
        expect(toasts).to_have_count(0)
        # Whoever does something hears that it did not reach the server.
        page.locator("#queue-resume").click()
        expect(toasts).to_have_count(1)
        context.unroute("**/queue**")
        ask(page)
        expect(toasts).to_have_count(0)
        page.locator("#queue-resume").click()
        expect(page.locator("#queue-resume")).to_have_count(0)
