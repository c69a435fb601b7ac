"""Curves under a pointer: what is looked at closely stays so, and lines that have points of their own are told together."""

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, expect

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from tests.support.live import signed_in
from tests.support.people import Person
from tests.support.training import make_run, metric

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
