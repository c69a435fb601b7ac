"""The walk through what deserves a look, in Chromium: by keyboard, at the token, on the frozen copy."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from app.conversations.models import Conversation
from app.conversations.service import edit_messages
from app.core.database import transaction
from app.runs.preflight.items import Name
from app.runs.service import RunRequest, start_run
from tests.mask_checks.conftest import Checked
from tests.support.live import faults_of, signed_in
from tests.support.people import Person
from tests.support.training import ENGINEER

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, url: str, engineer: Person) -> Iterator[Page]:
    """A signed-in engineer's page on which nothing may go wrong unseen."""
    context = signed_in(browser, url, engineer)
    page = context.new_page()
    faults = faults_of(page)
    yield page
    context.close()
    assert faults == []


def test_the_walk_is_done_with_keys_and_ends_where_it_began(page: Page, url: str, red: Checked) -> None:
    page.goto(f"{url}/mask-checks/{red.check_id}")
    place = page.locator(".walk__place")
    page.keyboard.press("j")
    expect(place).to_contain_text("Worth a look: 1 of 3")
    expect(page.locator(".walk__reasons")).to_contain_text("No token is trained")
    page.keyboard.press("j")
    expect(place).to_contain_text("2 of 3")
    # the focus is on the first token that is lost, and the bar is still in sight
    token = page.locator(".token-run > span:focus")
    expect(token).to_be_in_viewport()
    expect(page.locator(".token-run--cut > span:focus")).to_have_count(1)
    expect(place).to_be_in_viewport()
    page.keyboard.press("j")
    expect(place).to_contain_text("3 of 3")
    expect(page.locator(".token-run > span:focus")).to_contain_text("<")
    page.keyboard.press("k")
    expect(place).to_contain_text("2 of 3")
    page.keyboard.press("j")
    expect(place).to_contain_text("3 of 3")
    page.keyboard.press("j")
    page.wait_for_url(f"{url}/mask-checks/{red.check_id}")
    page.keyboard.press("j")
    expect(place).to_contain_text("1 of 3")
    page.keyboard.press("u")
    page.wait_for_url(f"{url}/mask-checks/{red.check_id}")


def test_trying_settings_on_the_walk_keeps_the_way_and_leads_back(page: Page, url: str, red: Checked) -> None:
    page.goto(f"{url}/mask-checks/{red.check_id}/conversations/{red.cut}/mask")
    page.evaluate("() => { window.stayed = true; }")
    expect(page.locator(".token-cut-line")).to_have_count(1)
    page.locator("#field-max_length").fill("")
    page.locator("#field-max_length").press("Tab")
    expect(page.locator(".token-cut-line")).to_have_count(0)
    expect(page.locator(".walk__other")).to_contain_text("not the settings that were checked")
    assert page.evaluate("() => window.stayed") is True
    page.get_by_role("link", name="Back to those of the check").click()
    expect(page.locator(".token-cut-line")).to_have_count(1)
    expect(page.locator(".walk__other")).to_have_count(0)
    page.get_by_role("link", name="Token", exact=False).first.click()
    expect(page.locator(".token-run--cut > span:focus")).to_be_in_viewport()


def test_a_failure_opens_the_frozen_copy_and_the_way_to_what_it_is_today(
    app: FastAPI, page: Page, url: str, red: Checked
) -> None:
    with transaction(app.state.engine) as session:
        version = session.get_one(Conversation, red.unanswered).version
        answered = [
            {"role": "user", "content": "Only a question?"},
            {"role": "assistant", "content": "No longer."},
        ]
        edit_messages(session, red.unanswered, version, ENGINEER, "edit", lambda _old: answered)
    page.goto(f"{url}/mask-checks/{red.check_id}")
    page.get_by_role("link", name="See the mask").first.click()
    expect(page.locator(".frozen-note")).to_contain_text("Frozen copy, as in Calls v1.")
    expect(page.locator(".frozen-note")).to_contain_text("has been changed since")
    expect(page.locator(".bubble--assistant")).to_have_count(0)
    expect(page.locator(".mask-checks--red")).to_be_visible()
    page.get_by_role("link", name="As it is today").click()
    page.wait_for_url(f"{url}/conversations/{red.unanswered}/mask?**")
    expect(page.locator(".bubble--assistant")).to_contain_text("No longer.")
    # still under the settings of the check
    expect(page.locator("#field-max_length")).to_have_value("120")


@pytest.mark.parametrize(
    ("locale", "scheme", "width"), [("en", "light", 1280), ("zh-CN", "dark", 390)], ids=["en", "zh"]
)
def test_axe_finds_nothing(
    app: FastAPI,
    browser: Browser,
    url: str,
    engineer: Person,
    red: Checked,
    locale: str,
    scheme: str,
    width: int,
) -> None:
    with transaction(app.state.engine) as session:
        start_run(
            session,
            ENGINEER,
            RunRequest(red.check_id, confirmed=True, override_reason="Known", accepted_warnings=tuple(Name)),
        )
    page = signed_in(browser, url, engineer, locale).new_page()
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": width, "height": 900})
    for path in (
        f"/mask-checks/{red.check_id}",
        f"/mask-checks/{red.check_id}/conversations/{red.cut}/mask",
        f"/mask-checks/{red.check_id}/conversations/{red.unanswered}/mask?only=failed",
    ):
        page.goto(url + path)
        assert Axe().run(page).response["violations"] == [], path
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), path
