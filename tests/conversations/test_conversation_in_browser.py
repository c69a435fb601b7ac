"""The conversation page in real Chromium: what is typed is saved, and never lost."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from app.accounts.models import Role
from tests.conversations.conftest import DIALOGUE, MakeConversation
from tests.support.live import faults_of, signed_in
from tests.support.people import Person, make_person
from tests.support.workers import wait_until

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, url: str, reviewer: Person) -> Iterator[Page]:
    with signed_in(browser, url, reviewer) as context:
        page = context.new_page()
        faults = faults_of(page)
        yield page
    assert faults == []


def text(page: Page, turn: int) -> str:
    return page.locator(f"#turn-{turn} textarea").input_value()


def stored(person: Person, conversation_id: int) -> list[str]:
    found = person.api.get(f"/api/v1/conversations/{conversation_id}").json()
    return [message["content"] for message in found["messages"]]


def saved(page: Page) -> None:
    expect(page.locator("[data-save-state]")).to_have_attribute("data-save-state", "saved")


def test_typing_is_saved_by_itself_and_said_in_words(
    page: Page, url: str, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    page.goto(f"{url}/conversations/{number}")
    field = page.locator("#turn-2 textarea")
    field.fill("  How many\n\npeople? <b>&amp;</b>")
    expect(page.locator("[data-save-state]")).to_contain_text("Not saved yet")
    expect(page.locator("[data-save-state]")).to_contain_text("All changes are saved")
    assert stored(reviewer, number)[1] == "  How many\n\npeople? <b>&amp;</b>"
    page.reload()
    assert text(page, 2) == "  How many\n\npeople? <b>&amp;</b>"
    expect(page.locator("#turn-2 b")).to_have_count(0)


def test_turns_are_walked_edited_and_flagged_without_a_mouse(
    page: Page, url: str, reviewer: Person, make: MakeConversation
) -> None:
    number, following = make(), make()
    page.goto(f"{url}/conversations/{number}")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#turn-2")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type(" And who decides?")
    page.keyboard.press("Escape")
    expect(page.locator("#turn-2")).to_be_focused()
    page.keyboard.press("t")
    expect(page.locator("#turn-2 .train-flag")).to_have_text("Always trained")
    saved(page)
    messages = reviewer.api.get(f"/api/v1/conversations/{number}").json()["messages"]
    assert messages[1] == {
        "role": "assistant",
        "content": DIALOGUE[1]["content"] + " And who decides?",
        "train": True,
    }
    expect(page.locator("#turn-2")).to_be_focused()
    page.keyboard.press("a")
    expect(page.locator("#review-panel")).to_contain_text("Approved")
    page.keyboard.press("j")
    page.wait_for_url(f"**/conversations/{following}")
    page.keyboard.press("r")
    page.locator("#reject-reason").fill("Too short")
    page.locator("#reject-dialog").get_by_role("button", name="Send back").click()
    expect(page.locator("#review-panel blockquote")).to_have_text("Too short")


def test_a_deleted_turn_comes_back_with_undo(
    page: Page, url: str, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    page.goto(f"{url}/conversations/{number}")
    page.locator("#turn-3 textarea").fill("Thirteen.")
    page.locator("#turn-3").hover()
    page.get_by_role("button", name="Delete turn 3").click()
    expect(page.locator("[data-turn]")).to_have_count(3)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("[data-turn]")).to_have_count(4)
    # What was typed just before the deletion was saved first, and is back too.
    assert stored(reviewer, number)[2] == "Thirteen."


def test_a_new_turn_is_there_to_type_into(
    page: Page, url: str, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    page.goto(f"{url}/conversations/{number}")
    page.locator("#turn-4").hover()
    page.get_by_role("button", name="Add a turn below turn 4").click()
    expect(page.locator("#turn-5 textarea")).to_be_focused()
    page.keyboard.type("Deal.")
    page.keyboard.press("Escape")
    saved(page)
    assert stored(reviewer, number)[4] == "Deal."


def other_edits(app: FastAPI, number: int, turn: int, content: str) -> Person:
    other = make_person(app, Role.ANNOTATOR, "Li Wei")
    now = other.api.get(f"/api/v1/conversations/{number}").json()
    now["messages"][turn]["content"] = content
    body = {"version": now["version"], "messages": now["messages"]}
    assert other.api.patch(f"/api/v1/conversations/{number}", json=body).status_code == 200
    return other


def test_somebody_elses_edit_is_shown_beside_mine_and_neither_is_lost(
    app: FastAPI, page: Page, url: str, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    page.goto(f"{url}/conversations/{number}")
    other_edits(app, number, 1, "Theirs.")
    page.locator("#turn-2 textarea").fill("Mine.")
    dialog = page.locator("#conflict-dialog")
    expect(dialog).to_contain_text("Li Wei (test) changed this conversation meanwhile")
    expect(dialog.locator(".theirs")).to_have_text("Theirs.")
    expect(dialog.locator("#conflict-mine")).to_have_value("Mine.")
    assert stored(reviewer, number)[1] == "Theirs."
    dialog.locator("#conflict-mine").fill("Both.")
    dialog.get_by_role("button", name="Save my text").click()
    expect(dialog).to_have_count(0)
    saved(page)
    assert text(page, 2) == "Both."
    assert stored(reviewer, number)[1] == "Both."


def test_taking_the_stored_text_drops_mine(
    app: FastAPI, page: Page, url: str, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    page.goto(f"{url}/conversations/{number}")
    other_edits(app, number, 1, "Theirs.")
    page.locator("#turn-2 textarea").fill("Mine.")
    page.get_by_role("link", name="Take the stored text").click()
    expect(page.locator("#turn-2 textarea")).to_have_value("Theirs.")
    saved(page)
    expect(page.locator("#lost-drafts")).to_have_text("")


def test_text_typed_while_the_server_is_away_survives_a_reload(
    page: Page, url: str, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    page.goto(f"{url}/conversations/{number}")
    page.route("**/turns/**", lambda route: route.abort())
    page.locator("#turn-1 textarea").fill("Typed on the train.")
    expect(page.locator("[data-save-state]")).to_contain_text("will try again")
    warnings: list[str] = []
    page.on("dialog", lambda dialog: (warnings.append(dialog.type), dialog.accept()))
    page.unroute("**/turns/**")
    page.reload()
    assert warnings == ["beforeunload"]
    expect(page.locator("#turn-1 textarea")).to_have_value("Typed on the train.")
    saved(page)
    assert stored(reviewer, number)[0] == "Typed on the train."


def test_a_draft_whose_turn_has_changed_is_shown_apart(
    app: FastAPI, page: Page, url: str, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    page.goto(f"{url}/conversations/{number}")
    page.route("**/turns/**", lambda route: route.abort())
    page.locator("#turn-1 textarea").fill("Typed on the train.")
    expect(page.locator("[data-save-state]")).to_contain_text("will try again")
    other_edits(app, number, 0, "Changed meanwhile.")
    page.unroute("**/turns/**")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator("#turn-1 textarea")).to_have_value("Changed meanwhile.")
    expect(page.locator("#lost-drafts textarea")).to_have_value("Typed on the train.")
    page.get_by_role("button", name="Discard", exact=True).click()
    page.reload()
    expect(page.locator("#lost-drafts textarea")).to_have_count(0)


def test_labels_are_saved_when_changed_and_stored_by_their_key(
    page: Page, url: str, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    page.goto(f"{url}/conversations/{number}")
    page.get_by_label("Outcome").select_option("won")
    page.get_by_label("Objection").fill("Price")
    page.get_by_label("Tags").fill("b2b，crm")
    page.get_by_label("Tags").blur()
    saved(page)
    expect(page.locator("#history-panel")).to_contain_text("Changed the labels")
    page.wait_for_function("!document.querySelector('.htmx-request')")
    page.locator("#history-panel summary").first.click()
    expect(page.locator(".history__changes").first).to_contain_text("Tags: not labelled → b2b, crm")
    saved(page)
    found = reviewer.api.get(f"/api/v1/conversations/{number}").json()
    assert (found["outcome"], found["objection"], found["tags"]) == ("won", "price", ["b2b", "crm"])


def test_tools_are_saved_from_a_field_that_was_made_larger(
    page: Page, url: str, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    page.goto(f"{url}/conversations/{number}")
    page.get_by_text("Add tools").click()
    field = page.get_by_label("Tools as JSON")
    field.fill('[{"type": "function", "function": {"name": "quote"}}]')
    # Dragging a field's corner writes a style attribute, which the page's policy refuses from a script.
    field.evaluate("field => { field.style.height = '400px' }")
    page.get_by_role("button", name="Save the tools").click()
    expect(page.locator("#tools-panel code")).to_have_text("quote")


def test_words_typed_just_before_the_tab_closes_are_saved(
    page: Page, url: str, reviewer: Person, make: MakeConversation
) -> None:
    number = make()
    page.goto(f"{url}/conversations/{number}")
    context = page.context
    field = page.locator("#turn-1 textarea")
    field.press("End")
    field.press_sequentially(" Per month?")
    page.close()
    wait_until(
        lambda: stored(reviewer, number)[0] == "What does it cost? Per month?",
        timeout_seconds=240,
        what="saving the last words",
    )
    again = context.new_page()
    again.goto(f"{url}/conversations/{number}")
    assert text(again, 1) == "What does it cost? Per month?"


def test_sending_back_and_approving_by_keys_go_on_and_can_be_undone(
    page: Page, url: str, reviewer: Person, make: MakeConversation
) -> None:
    first, second, third = make(), make(), make()
    page.goto(f"{url}/conversations/{first}")
    page.keyboard.press("r")
    dialog = page.get_by_role("dialog", name="Send back this conversation")
    expect(dialog.get_by_label("Reason")).to_be_focused()
    box, height = dialog.bounding_box(), page.evaluate("innerHeight")
    assert box is not None
    assert abs(box["y"] + box["height"] / 2 - height / 2) < 2, "the dialog stands in the middle"
    page.keyboard.press("Control+Enter")
    expect(dialog).to_be_visible()  # without a reason it is not sent
    page.keyboard.type("Too short")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Conversation sent back.").first).to_be_visible()

    page.goto(f"{url}/conversations/{second}")
    page.get_by_label("Then go on to the next").check()
    page.keyboard.press("a")
    page.wait_for_url(f"**/conversations/{third}**")
    expect(page.locator(".toast__text", has_text="Conversation approved.")).to_be_visible()
    expect(page.get_by_label("Then go on to the next")).to_be_checked()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast__text", has_text="It is a draft again.")).to_be_visible()
    found = [reviewer.api.get(f"/api/v1/conversations/{number}").json() for number in (first, second, third)]
    assert [one["review_state"] for one in found] == ["rejected", "draft", "draft"]
    assert found[0]["review_reason"] == "Too short"


def test_in_an_archived_dataset_nothing_can_be_typed(
    page: Page, app: FastAPI, url: str, reviewer: Person, make: MakeConversation, dataset_id: int
) -> None:
    number = make()
    make_person(app, Role.ENGINEER).api.post(f"/api/v1/datasets/{dataset_id}/archive")
    page.goto(f"{url}/conversations/{number}")
    page.locator("#turn-1 textarea").press_sequentially("x")
    expect(page.get_by_role("button", name="Delete turn 1")).to_be_disabled()
    expect(page.get_by_label("Outcome")).to_be_disabled()
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    page.wait_for_timeout(1000)
    assert stored(reviewer, number) == [message["content"] for message in DIALOGUE]
    expect(page.locator(".toast")).to_have_count(0)
