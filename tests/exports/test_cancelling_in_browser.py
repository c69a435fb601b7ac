"""What is under way asks for itself alone; what is done with it concerns the whole section."""

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, expect

from tests.support.exported import run_with_adapter
from tests.support.live import signed_in
from tests.support.people import Person

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("silent_bell")]


def test_cancelling_one_export_leaves_the_others_and_the_choice_of_kinds(
    app: FastAPI, browser: Browser, url: str, engineer: Person
) -> None:
    run_id = run_with_adapter(app)
    for kind in ("adapter", "merged"):
        assert engineer.api.post(f"/api/v1/runs/{run_id}/exports", json={"kind": kind}).status_code == 202
    with signed_in(browser, url, engineer) as context:
        page = context.new_page()
        page.goto(f"{url}/runs/{run_id}")
        page.locator("#export-2").get_by_role("button", name="Cancel").click()
        expect(page.locator("#exports #export-2")).to_contain_text("Cancelled")
        expect(page.locator("#exports #export-1")).to_contain_text("Queued")
        expect(page.locator("#exports .export-kinds")).to_be_visible()
