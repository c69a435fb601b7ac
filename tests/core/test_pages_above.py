"""Whoever opens an address that is no page is led to the page that it belongs to."""

import pytest
from fastapi import FastAPI

from tests.support.people import Person
from tests.support.routes import all_routes, filled

# As browsers open what was typed, reloaded or found in their history.
OPENED = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("opened", "page"),
    [
        ("/people/99", "/people"),
        ("/runs/7/again", "/runs/7"),
        ("/runs/7/checkpoints/3/keep", "/runs/7/checkpoints"),
        ("/runs/7/exports/2/pushes/1/stop", "/runs/7/exports"),
        ("/runs/new/plan", "/runs/new"),
        ("/sweeps/4/stop", "/sweeps/4"),
        ("/account/sessions/end-others", "/account"),
        ("/preferences/theme", "/"),
        ("/logout", "/"),
    ],
)
def test_the_page_above_is_the_nearest_that_can_be_read(admin: Person, opened: str, page: str) -> None:
    told = admin.browser.get(opened, headers=OPENED)
    assert (told.status_code, told.headers["location"]) == (303, page)


def test_no_address_of_a_form_ends_before_a_closed_door(app: FastAPI, admin: Person) -> None:
    pages = {route.path for method, route in all_routes(app) if method == "GET"}
    forms = {
        route.path
        for method, route in all_routes(app)
        if method != "GET" and route.path not in pages and not route.path.startswith(("/api/", "/v1/"))
    }
    assert len(forms) > 50
    for path in forms:
        told = admin.browser.get(filled(path), headers=OPENED, follow_redirects=True)
        assert told.status_code in {200, 404}, f"{path} ended with {told.status_code}"
        assert told.history, f"{path} led nowhere"


def test_programs_and_scripts_are_still_told_what_an_address_takes(admin: Person) -> None:
    assert admin.browser.get("/runs/7/again").status_code == 405
    assert admin.browser.get("/runs/7/again", headers={**OPENED, "HX-Request": "true"}).status_code == 405
    assert admin.api.get("/api/v1/tokens/7", headers=OPENED).status_code == 405
