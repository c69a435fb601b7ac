"""Curves under a pointer: what is looked at closely stays so, and lines that have points of their own are told together."""

import re

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Locator, expect

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from tests.support.live import signed_in
from tests.support.people import Person
from tests.support.training import make_run, make_run_like, metric

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("silent_bell")]
# More than a screen is given at once.
POINTS = 2500


def test_a_part_that_is_looked_at_closely_stays_when_its_points_come_and_when_it_is_smoothed(
    app: FastAPI, browser: Browser, url: str, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        _run, job = make_run(session, storage)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=300)
        assert claim is not None
        events = [metric(step, 3 - step / POINTS) for step in range(1, POINTS + 1)]
        events += [("eval", {"step": 1250, "eval_loss": 2.6})]
        jobs.heartbeat(session, claim, lease_seconds=300, events=events)
    with signed_in(browser, url, engineer) as context:
        page = context.new_page()
        page.goto(f"{url}/runs/1")
        page.locator("#loss").scroll_into_view_if_needed()
        plot = page.locator("#loss .u-over")
        box = plot.bounding_box()
        assert box is not None
        width, middle = box["width"], box["height"] / 2
        said = page.locator(".chart:has(#loss) [data-chart-readout]")
        plot.hover(position={"x": width / 2, "y": middle})
        # the training point beside the held-out one, though neither is at the other's step
        expect(said).to_contain_text("Training loss 2.5")
        expect(said).to_contain_text("Held-out loss 2.6")
        page.mouse.down()
        with page.expect_response("**/curves?from_step=*"):
            plot.hover(position={"x": width * 0.55, "y": middle})
            page.mouse.up()
        plot.hover(position={"x": width - 2, "y": middle})
        expect(said).to_contain_text("Step 1,37")
        page.locator('[name="smooth"]').fill("0.9")
        plot.hover(position={"x": width - 3, "y": middle})
        expect(said).to_contain_text("Step 1,37")
        plot.dblclick(position={"x": width / 2, "y": middle})
        plot.hover(position={"x": width - 2, "y": middle})
        expect(said).to_contain_text("Step 2,49")


def test_a_part_that_is_looked_at_closely_grows_with_the_run_and_forgets_what_was_taken_back(
    app: FastAPI, browser: Browser, url: str, engineer: Person, storage: Storage
) -> None:
    def told(*events: jobs.EventData) -> None:
        with transaction(app.state.engine) as session:
            jobs.heartbeat(session, claim, lease_seconds=300, events=list(events))

    with transaction(app.state.engine) as session:
        _run, job = make_run(session, storage)
        taken = jobs.claim(session, job.id or 0, owner="w", lease_seconds=300)
        assert taken is not None
        claim = taken
    told(*(metric(step, 3.0) for step in range(1, POINTS + 1)))
    with signed_in(browser, url, engineer) as context:
        page = context.new_page()
        with page.expect_response("**/curves?from_step=*"):
            page.goto(f"{url}/runs/1?from={POINTS - 100}&to={POINTS + 100}")
        page.locator("#loss").scroll_into_view_if_needed()
        plot = page.locator("#loss .u-over")
        said = page.locator(".chart:has(#loss) [data-chart-readout]")

        def last_is(step: str, loss: str) -> None:
            """The last point that is drawn, wherever the pointer stands beyond it."""
            plot.hover(position={"x": _size(plot)[0] / 2, "y": 90})
            plot.hover(position={"x": _size(plot)[0] - 2, "y": 90})
            expect(said).to_have_text(f"Step {step} · Training loss {loss}")

        last_is("2,500", "3")
        told(*(metric(step, 2.5) for step in range(POINTS + 1, POINTS + 51)))
        expect(page.locator("[data-live=loss]")).to_have_text("2.500")
        last_is("2,550", "2.500")
        # A worker was lost, and the next attempt goes on from a checkpoint.
        with page.expect_response("**/curves?from_step=*"):
            told(*(metric(step, 1.5) for step in range(POINTS - 49, POINTS - 39)))
        last_is("2,460", "1.500")
        # The attempt after that goes on from an earlier one: what stands above the chart goes back too, before it measures anything.
        told(("restored", {"step": 100}))
        expect(page.locator("[data-live=loss]")).to_have_text("3.000")


def test_a_part_that_is_looked_at_is_in_the_address_for_others_for_reloads_and_for_the_way_back(
    app: FastAPI, browser: Browser, url: str, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        _run, job = make_run(session, storage)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=300)
        assert claim is not None
        events = [metric(step, 3 - step / 200) for step in range(1, 201)]
        jobs.heartbeat(session, claim, lease_seconds=300, events=events)
    with signed_in(browser, url, engineer) as context:
        page = context.new_page()
        page.goto(f"{url}/runs/1?log=1")
        plot, everything = page.locator("#loss .u-over"), page.get_by_role("button", name="Show all")
        said = page.locator(".chart:has(#loss) [data-chart-readout]")

        def last_seen(steps: str) -> None:
            plot.hover(position={"x": _size(plot)[0] - 2, "y": 90})
            expect(said).to_contain_text(f"Step {steps} ·")

        page.locator("#loss").scroll_into_view_if_needed()
        expect(everything).to_be_hidden()
        last_seen("200")
        width, height = _size(plot)
        plot.hover(position={"x": width / 4, "y": height / 2})
        page.mouse.down()
        plot.hover(position={"x": width / 2, "y": height / 2})
        page.mouse.up()
        expect(page).to_have_url(re.compile(r"/runs/1\?log=1&from=50&to=10[01]$"))
        expect(page.get_by_label("From step")).to_have_value("50")
        page.get_by_label("From step").fill("20")
        page.get_by_label("To step").fill("60")
        page.get_by_label("To step").press("Enter")
        expect(page).to_have_url(f"{url}/runs/1?log=1&from=20&to=60")
        last_seen("60")
        page.reload()
        page.locator("#loss").scroll_into_view_if_needed()
        last_seen("60")
        # Each part that was seen is a step back: by the second field, by the first, by the pointer.
        for seen in ("?log=1&from=20&to=10", "?log=1&from=50&to=10", "?log=1"):
            page.go_back()
            expect(page).to_have_url(re.compile(rf"/runs/1{re.escape(seen)}\d?$"))
        expect(everything).to_be_hidden()
        last_seen("200")
        page.go_forward()
        expect(everything).to_be_visible()
        everything.click()
        expect(page).to_have_url(f"{url}/runs/1?log=1")
        last_seen("200")


def _size(plot: Locator) -> tuple[float, float]:
    box = plot.bounding_box()
    assert box is not None
    return box["width"], box["height"]


def test_where_nothing_was_measured_words_stand_in_place_of_empty_axes(
    app: FastAPI, browser: Browser, url: str, engineer: Person, storage: Storage
) -> None:
    with transaction(app.state.engine) as session:
        _run, job = make_run(session, storage)
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=300)
        assert claim is not None
        make_run_like(session, 1)
    with signed_in(browser, url, engineer) as context:
        page = context.new_page()
        page.goto(f"{url}/runs/compare?run=1&run=2")
        empty = page.locator(".chart__canvas--empty")
        expect(empty).to_have_count(2)
        said = "element => getComputedStyle(element, '::after').content"
        assert empty.first.evaluate(said) == '"No values so far"'
        expect(page.locator(".uplot").first).not_to_be_visible()
        page.goto(f"{url}/runs/1")
        expect(page.locator("#loss.chart__canvas--empty")).to_have_count(1)
        # what is measured comes by itself, and the words go
        with transaction(app.state.engine) as session:
            jobs.heartbeat(session, claim, lease_seconds=300, events=[metric(1), metric(2)])
        expect(page.locator("#loss.chart__canvas--empty")).to_have_count(0)
        expect(page.locator("#loss .uplot")).to_be_visible()
