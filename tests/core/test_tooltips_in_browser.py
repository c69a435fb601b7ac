"""What a title says, for those who come by the keyboard: shown at the focus, announced, closed by Escape."""

import re

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from app.core.database import transaction
from app.core.storage import Storage
from tests.support.live import signed_in
from tests.support.people import Person
from tests.support.training import make_check, make_run

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("silent_bell")]
ANY = re.compile("")


def tab_to(page: Page, selector: str) -> None:
    """By the key alone."""
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} was not reached")


def test_what_a_run_has_otherwise_is_read_by_tab_and_closed_by_escape(
    app: FastAPI, browser: Browser, url: str, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        make_run(session, storage, recipe="quick", changes={"seed": 7, "lora_alpha": 8})
    with signed_in(browser, url, engineer) as context:
        page = context.new_page()
        page.goto(f"{url}/runs")
        tip = page.get_by_role("tooltip")
        tab_to(page, "span[title*=seed]")
        expect(tip).to_be_visible()
        expect(tip).to_contain_text("seed: 42 → 7")
        about = page.locator("span[title*=seed]")
        expect(about).to_have_attribute("aria-describedby", "tooltip")
        expect(about).to_have_accessible_description("seed: 42 → 7 lora_alpha: 32 → 8")
        box, anchor = tip.bounding_box(), about.bounding_box()
        assert box is not None
        assert anchor is not None
        assert box["y"] >= anchor["y"] + anchor["height"]
        page.keyboard.press("Escape")
        expect(tip).to_be_hidden()
        expect(about).to_be_focused()
        expect(about).not_to_have_attribute("aria-describedby", ANY)
        page.keyboard.press("Tab")
        page.keyboard.press("Shift+Tab")
        expect(tip).to_be_visible()
        page.keyboard.press("Tab")
        expect(tip).to_be_hidden()


def test_a_button_that_is_a_sign_says_its_name_to_the_eye_and_once_to_the_ear_and_a_pointer_is_not_in_the_way(
    browser: Browser, url: str, engineer: Person
) -> None:
    with signed_in(browser, url, engineer) as context:
        page = context.new_page()
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{url}/base-models")
        tip = page.get_by_role("tooltip")
        tab_to(page, "[title=Menu]")
        expect(tip).to_have_text("Menu")
        expect(page.locator("[title=Menu]")).not_to_have_attribute("aria-describedby", ANY)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = tip.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        page.keyboard.press("Escape")
        expect(tip).to_be_hidden()
        page.locator("[title=Menu]").click()
        expect(tip).to_be_hidden()


def test_every_field_of_the_training_form_is_reached_by_tab_and_announces_what_stands_below_it(
    app: FastAPI, browser: Browser, url: str, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        make_check(session, storage)
    with signed_in(browser, url, engineer) as context:
        page = context.new_page()
        page.goto(f"{url}/runs/new")
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        wanted = set(
            page.evaluate(
                "[...document.querySelectorAll('#run-form [data-recipe-field]')].filter(one => one.checkVisibility()).map(one => one.id)"
            )
        )
        assert len(wanted) >= 20
        reached, silent = set[str](), list[str]()
        for _ in range(250):
            page.keyboard.press("Tab")
            found = page.evaluate(
                """() => {
                    const one = document.activeElement;
                    const ids = (one.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean);
                    const said = ids.map(id => document.getElementById(id)?.textContent.trim() ?? "").join("");
                    return [one.id, one.matches("[data-recipe-field]"), said];
                }"""
            )
            name, is_field, said = found
            if is_field:
                reached.add(name)
                if not said:
                    silent.append(name)
        assert wanted - reached == set()
        assert silent == []
