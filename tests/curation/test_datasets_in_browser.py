"""Datasets in real Chromium: import with its report, search that keeps its address, decisions on several at once."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, FilePayload, Page, expect

from app.accounts.models import Role
from tests.conversations.conftest import DIALOGUE, MakeConversation
from tests.support.live import signed_in
from tests.support.people import Person, make_person

pytestmark = pytest.mark.browser
GOOD = json.dumps({"messages": DIALOGUE}).encode()


@pytest.fixture
def page(browser: Browser, url: str, reviewer: Person) -> Iterator[Page]:
    with signed_in(browser, url, reviewer) as context:
        page = context.new_page()
        yield page


def file(body: bytes) -> FilePayload:
    return {"name": "calls.jsonl", "mimeType": "application/jsonl", "buffer": body}


def test_from_an_empty_start_to_drafts_with_a_bad_line_skipped_by_one_click(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("link", name="New dataset").click()
    page.get_by_label("Name").fill("Calls")
    page.get_by_role("button", name="Create dataset").click()
    page.get_by_role("link", name="Import a file").click()
    page.get_by_label("File", exact=True).set_input_files(file(GOOD + b"\nnonsense\n"))
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator("#import-report")).to_contain_text("the whole file was left out")
    expect(page.get_by_role("row", name="2")).to_be_visible()
    page.get_by_role("button", name="Import again, skipping bad lines").click()
    page.wait_for_url(re.compile(r"/imports/\d+$"))
    expect(page.locator("main")).to_contain_text("Imported in part")
    page.get_by_role("link", name="Read the drafts").click()
    expect(page.get_by_role("link", name="What does it cost?")).to_be_visible()


def test_a_taken_name_is_said_inside_the_dialog(page: Page, url: str, dataset_id: int) -> None:
    page.goto(f"{url}/datasets")
    page.keyboard.press("n")
    page.get_by_label("Name").fill("Calls")
    page.get_by_role("button", name="Create dataset").click()
    expect(page.locator("#new-dataset")).to_contain_text("There is already a dataset named “Calls”.")
    expect(page.get_by_label("Name")).to_have_value("Calls")


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(page: Page, url: str, dataset_id: int) -> None:
    page.goto(f"{url}/datasets/{dataset_id}/import")
    page.evaluate("document.querySelector('[data-import]').dataset.maxBytes = '100'")
    page.get_by_label("File", exact=True).set_input_files(file(GOOD))
    expect(page.get_by_role("alert")).to_contain_text("The upload is larger than the limit of 64 MB")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_timeout(200)
    assert "POST" not in sent


def test_an_upload_over_the_limit_gets_the_servers_sentence(
    page: Page, url: str, dataset_id: int, tmp_path: Path
) -> None:
    large = tmp_path / "calls.jsonl"
    large.write_bytes(b"x" * 75_000_000)
    page.goto(f"{url}/datasets/{dataset_id}/import")
    page.evaluate("document.querySelector('[data-import]').dataset.maxBytes = '1e12'")
    page.get_by_label("File", exact=True).set_input_files(large)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator(".toast")).to_contain_text("larger than the limit of 64 MB")


def test_searching_keeps_the_address_and_back_brings_the_list_back(
    page: Page, url: str, make: MakeConversation, dataset_id: int
) -> None:
    make()
    make(messages=[{"role": "user", "content": "Is there a trial?"}, *DIALOGUE[1:]])
    page.goto(f"{url}/datasets/{dataset_id}")
    page.keyboard.press("/")
    page.keyboard.type("trial")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.wait_for_url("**q=trial**")
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Is there a trial?").click()
    page.wait_for_url("**/conversations/2?q=trial#turn-1")
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(2)


def test_ticked_conversations_are_sent_back_with_a_reason(
    page: Page, url: str, reviewer: Person, make: MakeConversation, dataset_id: int
) -> None:
    for _number in range(3):
        make()
    page.goto(f"{url}/datasets/{dataset_id}")
    expect(page.locator("[data-bulk-bar]")).to_be_hidden()
    page.locator("tbody input[type=checkbox]").nth(0).check()
    page.locator("tbody input[type=checkbox]").nth(2).check()
    expect(page.locator("[data-bulk-bar]")).to_contain_text("2 ticked")
    page.get_by_role("button", name="Send back…").click()
    page.get_by_label("Reason").fill("Too short")
    page.get_by_role("button", name="Send back", exact=True).click()
    expect(page.locator(".toast")).to_contain_text("2 conversations sent back.")
    page.get_by_role("button", name="Approve all not reviewed").click()
    page.locator("#confirm-dialog").get_by_role("button", name="Approve all").click()
    expect(page.locator(".toast").last).to_contain_text("1 conversation approved.")
    found = reviewer.api.get(f"/api/v1/datasets/{dataset_id}/conversations").json()["conversations"]
    assert [item["review_state"] for item in found] == ["rejected", "approved", "rejected"]


def test_a_list_is_walked_by_the_arrow_keys_from_the_search_field(
    page: Page, url: str, dataset_id: int, make: MakeConversation
) -> None:
    numbers = [make(messages=[{"role": "user", "content": f"Caller {n}"}, *DIALOGUE[1:]]) for n in range(3)]
    page.goto(f"{url}/datasets/{dataset_id}")
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Caller 1")).to_be_focused()
    for _step in range(2):
        page.keyboard.press("ArrowUp")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("Caller 2")
    expect(page.get_by_role("link", name="Caller 0")).to_have_count(0)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/conversations/{numbers[2]}?q=Caller+2#turn-1")
    page.go_back()
    page.locator("body").press("j")
    page.wait_for_url(f"**/conversations/{numbers[2]}?q=Caller+2#turn-1")


def test_deleting_a_dataset_asks_first_and_says_what_goes(
    page: Page, app: FastAPI, url: str, dataset_id: int, make: MakeConversation
) -> None:
    make()
    browser = page.context.browser
    assert browser is not None
    engineer = signed_in(browser, url, make_person(app, Role.ENGINEER)).new_page()
    engineer.goto(f"{url}/datasets/{dataset_id}/settings")
    engineer.get_by_role("button", name="Delete dataset").click()
    dialog = engineer.locator("#confirm-dialog")
    expect(dialog).to_contain_text("Delete “Calls”?")
    expect(dialog).to_contain_text("1 conversation with its history, 0 frozen versions, 0 import reports")
    dialog.get_by_role("button", name="Cancel").click()
    engineer.get_by_role("button", name="Archive", exact=True).click()
    expect(engineer.locator(".callout")).to_contain_text("nothing in it can be changed")
    engineer.get_by_role("button", name="Restore").click()
    engineer.goto(f"{url}/datasets/{dataset_id}/settings")
    engineer.get_by_role("button", name="Delete dataset").click()
    dialog.get_by_role("button", name="Delete dataset").click()
    expect(engineer.get_by_text("No datasets yet")).to_be_visible()
