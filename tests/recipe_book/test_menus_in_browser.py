"""The menu of a row, wherever the row stands in its table."""

import pytest
from playwright.sync_api import Browser, expect

from tests.recipe_book.test_pages import save
from tests.support.live import signed_in
from tests.support.people import Person

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("silent_bell")]


def test_all_of_the_last_rows_menu_can_be_reached_and_stands_in_one_line(
    browser: Browser, url: str, engineer: Person
) -> None:
    save(engineer)
    with signed_in(browser, url, engineer) as context:
        page = context.new_page()
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{url}/recipes")
        row = page.locator("#recipe-1")
        row.locator("summary").click()
        menu = row.locator(".menu__items")
        expect(menu.locator("a, button")).to_have_count(6)
        frame = page.locator(".table-frame")
        room = frame.evaluate("frame => [frame.clientHeight, frame.scrollHeight]")
        assert room[0] == room[1]
        box, around = menu.bounding_box(), frame.bounding_box()
        assert box is not None
        assert around is not None
        assert box["y"] + box["height"] <= around["y"] + around["height"]
        starts = menu.locator("svg").evaluate_all(
            "all => all.map(one => Math.round(one.getBoundingClientRect().x))"
        )
        assert len(set(starts)) == 1, starts
