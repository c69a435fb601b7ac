"""What a quick hand, or a slow server, does to pages that ask again by themselves."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, Route, expect

from app.core.database import transaction
from app.core.storage import Storage
from app.recipes.advice import Advice
from app.runs import planning
from app.sentences import Sentence
from tests.support.live import signed_in
from tests.support.people import Person
from tests.support.training import make_model, make_run, make_run_like, make_version

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("silent_bell")]


@pytest.fixture
def page(browser: Browser, url: str, engineer: Person) -> Iterator[Page]:
    """A signed-in engineer's page."""
    with signed_in(browser, url, engineer) as context:
        page = context.new_page()
        yield page


def test_a_setting_changed_while_a_check_runs_is_the_one_that_is_checked(
    app: FastAPI, page: Page, url: str, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        make_version(session, storage)
        make_model(session)
    page.goto(f"{url}/runs/new?version=1&model=1")
    expect(page.locator("#mask-check input[name=mask_check_id]")).to_have_value("1")

    def later(route: Route) -> None:
        page.wait_for_timeout(2500)  # the answer comes after two more looks at the first check
        route.continue_()

    page.route("**/runs/new/check", later)
    page.locator("#field-max_length").fill("512")
    page.locator("#field-max_length").press("Tab")
    expect(page.locator("#mask-check input[name=mask_check_id]")).to_have_value("2")


def test_the_focus_stays_on_a_row_while_the_list_asks_again(
    app: FastAPI, page: Page, url: str, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        make_run(session, storage)
    page.goto(f"{url}/runs")
    link = page.locator("#runs a.row-link")
    link.focus()
    page.evaluate("() => { document.getElementById('runs').dataset.old = 'yes'; }")
    expect(page.locator("#runs:not([data-old])")).to_have_count(1)
    expect(link).to_be_focused()


def test_comparing_with_too_few_ticks_says_how_many_it_takes(
    app: FastAPI, page: Page, url: str, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        run, _job = make_run(session, storage)
        make_run_like(session, run.id or 0)
    page.goto(f"{url}/runs")
    compare = page.get_by_role("button", name="Compare ticked runs")
    boxes = page.locator(".compare-box")
    for box in range(2):
        compare.click()
        expect(page.locator(".toast").first).to_contain_text("Choose 2 to")
        expect(page).to_have_url(f"{url}/runs")
        boxes.nth(box).check()
    compare.click()
    page.wait_for_url("**/runs/compare?run=*&run=*")


def test_what_is_advised_for_one_reason_is_taken_by_one_click(
    app: FastAPI, page: Page, url: str, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason, rule = Sentence("Both belong together."), Sentence("Rule: together.")
    together = [
        Advice("per_device_train_batch_size", "2", reason, rule),
        Advice("gradient_accumulation_steps", "8", reason, rule),
    ]
    monkeypatch.setattr(planning, "advise", lambda *_: [*together, Advice("lora_r", "8", rule, rule)])
    with transaction(app.state.engine) as session:
        make_version(session, storage)
        make_model(session)
    page.goto(f"{url}/runs/new?version=1&model=1")
    expect(page.locator(".advice")).to_have_count(2)
    page.get_by_role("button", name="Set per_device_train_batch_size to 2").click()
    expect(page.locator("#field-per_device_train_batch_size")).to_have_value("2")
    expect(page.locator("#field-gradient_accumulation_steps")).to_have_value("8")
    expect(page.locator("#field-lora_r")).to_have_value("")


def test_a_version_is_not_offered_to_be_mixed_in_with_itself(
    app: FastAPI, page: Page, url: str, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        make_version(session, storage)
        make_version(session, storage, name="General")
        make_model(session)
    page.goto(f"{url}/runs/new?version=1&mix_version=1")
    version, mixed = page.locator("#field-version"), page.locator("#field-mix_version")
    offered = "select => [...select.options].filter(option => !option.disabled).map(option => option.value)"
    expect(mixed).to_have_value("")
    assert mixed.evaluate(offered) == ["", "2"]
    mixed.select_option("2")
    # The plan for the choice before may still be on its way.
    with page.expect_request(
        lambda sent: "/plan" in sent.url and "&version=2&" in (sent.post_data or "")
    ) as asked:
        version.select_option("2")
    assert "mix_version=&" in f"{asked.value.post_data}&"
    expect(mixed).to_have_value("")
    assert mixed.evaluate(offered) == ["", "1"]
