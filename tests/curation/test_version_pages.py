"""Pages of versions: freezing, and what a new version holds that the one before did not."""

from dataclasses import fields

import pytest
from playwright.sync_api import Browser, expect

from app.conversations.filter_params import FilterParams
from app.curation.freeze_form import FreezeForm
from tests.conversations.conftest import MakeConversation
from tests.support.live import signed_in
from tests.support.people import Person, problem_of, visible_text

HTMX = {"HX-Request": "true"}


def test_freezing_needs_an_engineer_and_something_approved(
    reviewer: Person, engineer: Person, make: MakeConversation, dataset_id: int
) -> None:
    number = make(outcome="won")
    path = f"/datasets/{dataset_id}/versions"
    assert reviewer.browser.post(path).status_code == 403
    nothing = engineer.browser.post(path)
    assert nothing.status_code == 422
    assert "Nothing is approved" in visible_text(nothing.text)
    reviewer.browser.post(f"/datasets/{dataset_id}/review", data={"ids": [number], "state": "approved"})
    assert engineer.browser.post(path).headers["location"] == f"{path}#version-1"
    page = engineer.browser.get(path).text
    version = engineer.api.get(f"/api/v1/datasets/{dataset_id}/versions").json()[0]
    assert version["content_hash"] in page
    assert f'href="/runs/new?version={version["id"]}"' in page
    assert "New run" not in reviewer.browser.get(path).text


@pytest.mark.browser
def test_who_freezes_on_the_page_of_versions_sees_the_new_one(
    browser: Browser,
    url: str,
    reviewer: Person,
    engineer: Person,
    make: MakeConversation,
    dataset_id: int,
) -> None:
    """It leads to a place of the very page that is shown, which a browser would not ask for again by itself."""
    numbers = [make(outcome="won"), make(outcome="lost")]
    with signed_in(browser, url, engineer) as context:
        page = context.new_page()
        for version, number in enumerate(numbers, start=1):
            reviewer.browser.post(
                f"/datasets/{dataset_id}/review", data={"ids": [number], "state": "approved"}
            )
            page.goto(f"{url}/datasets/{dataset_id}/versions")
            page.get_by_role("link", name="Freeze version").click()
            page.get_by_role("dialog").get_by_role("button", name="Freeze", exact=True).click()
            expect(page.locator(f"#version-{version}")).to_be_visible()
            expect(page.get_by_role("dialog")).to_have_count(0)
            expect(page).to_have_url(f"{url}/datasets/{dataset_id}/versions#version-{version}")


def test_freezing_again_says_that_nothing_changed_and_a_new_version_what_did(
    reviewer: Person, engineer: Person, make: MakeConversation, dataset_id: int
) -> None:
    path, api = f"/datasets/{dataset_id}/versions", f"/api/v1/datasets/{dataset_id}/versions"
    first = make(outcome="won")

    def approve(number: int) -> None:
        review = {"ids": [number], "state": "approved"}
        reviewer.browser.post(f"/datasets/{dataset_id}/review", data=review)

    approve(first)
    made = engineer.api.post(api)
    assert (made.status_code, made.json()["is_new"]) == (201, True)
    again = engineer.api.post(api)
    assert (again.status_code, again.json()) == (200, {**made.json(), "is_new": False})
    address = engineer.browser.post(path, headers=HTMX).headers["HX-Redirect"]
    assert address == f"{path}?same_as=1#version-1"
    assert "the same as version 1, so no new version" in visible_text(engineer.browser.get(address).text)
    assert "no new version" not in engineer.browser.get(f"{path}?same_as=7").text

    approve(make(outcome="lost"))
    engineer.browser.post(path)
    for headers in ({}, HTMX):
        answer = engineer.browser.get(f"{path}/2/changes", headers=headers)
        assert "Since version 1: 1 new, 0 changed, 0 gone" in visible_text(answer.text)
    second = engineer.api.get(api).json()[0]["id"]
    assert engineer.api.get(f"/api/v1/versions/{second}/changes").json() == {
        "since": 1,
        "added": 1,
        "changed": 0,
        "removed": 0,
    }
    assert "first of its dataset" in problem_of(
        engineer.api.get(f"/api/v1/versions/{made.json()['id']}/changes")
    )


def test_a_version_has_a_name_says_what_was_chosen_and_shows_what_it_holds(
    reviewer: Person, engineer: Person, make: MakeConversation, dataset_id: int
) -> None:
    path, api = f"/datasets/{dataset_id}/versions", f"/api/v1/datasets/{dataset_id}/versions"
    won, lost = make(outcome="won", stage="proposal"), make(outcome="lost")
    review = {"ids": [won, lost], "state": "approved"}
    reviewer.browser.post(f"/datasets/{dataset_id}/review", data=review)
    listed = engineer.browser.get(f"/datasets/{dataset_id}?outcome=won").text
    assert f'href="{path}/new?outcome=won"' in listed
    assert "Freeze only these" not in reviewer.browser.get(f"/datasets/{dataset_id}?outcome=won").text
    form = engineer.browser.get(f"{path}/new?outcome=won").text
    assert '<option value="won" selected>Only those that were won' in form
    for wrong, said in (
        ({"held_out": "many"}, "is not a number"),
        ({"held_out": "60"}, "at most half"),
        ({"held_out": "nan"}, "is not a number"),
        ({"seed": "nan"}, "a whole number from 0"),
        ({"seed": "1.5"}, "a whole number from 0"),
        ({"seed": "9" * 30}, "a whole number from 0"),
        ({"q": "nowhere"}, "nothing fits"),
    ):
        refused = engineer.browser.post(path, data={"name": "Typed", **wrong}, headers=HTMX)
        assert (refused.status_code, said in refused.text, 'value="Typed"' in refused.text) == (
            422,
            True,
            True,
        )
    typed = {"name": "First wins", "note": "Two weeks", "outcome": "won", "seed": "3", "held_out": "50 %"}
    engineer.browser.post(path, data=typed, headers=HTMX)
    shown = visible_text(engineer.browser.get(path).text)
    for said in ("Version 1 · First wins", "Two weeks", "Chosen: Outcome: Won.", "Held out: 50.0 %, seed 3."):
        assert said in shown
    engineer.browser.post(f"{path}/1", data={"name": "Renamed", "note": ""})
    contents = visible_text(engineer.browser.get(f"{path}/1").text)
    assert "Calls v1 · Renamed" in contents
    assert contents.count("For training") == 1
    frozen = f"{path}/1/conversations/{won}"
    assert "still reads the same" in engineer.browser.get(frozen).text
    reviewer.browser.post(f"/conversations/{won}/turns/1", data={"version": 2, "content": "Ten."})
    page = visible_text(engineer.browser.get(frozen).text)
    assert "has been changed since" in page
    assert "Ten." not in page

    body = {"name": "By script", "only": {"outcome": "lost"}, "validation_share": 0.5}
    made = engineer.api.post(api, json=body).json()
    assert (made["name"], made["selection"], made["train_count"]) == ("By script", {"outcome": "lost"}, 1)
    held = engineer.api.get(f"/api/v1/versions/{made['id']}/conversations?limit=1").json()
    assert ([row["id"] for row in held["conversations"]], held["total"]) == ([lost], 1)
    edited = engineer.api.patch(f"/api/v1/versions/{made['id']}", json={"note": "n"}).json()
    assert (edited["name"], edited["note"]) == ("By script", "n")
    for person, status in ((reviewer, 403), (engineer, 422)):
        wrong = person.api.post(api, json={"validation_share": 0.7})
        assert wrong.status_code == status


def test_the_form_can_hold_whatever_narrows_a_list_but_for_people_and_order() -> None:
    of_lists = {"review_state", "sent_back_to", "assigned_to", "sort"}
    assert {part.name for part in fields(FilterParams)} - of_lists == FreezeForm.model_fields.keys() - {
        "name",
        "note",
        "held_out",
        "seed",
    }
