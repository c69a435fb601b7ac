"""Runs side by side: only what differs, how far each came, and a page that its address brings back."""

import re

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, expect

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs import service as jobs
from app.runs.service import RunRequest, require_run, start_run
from tests.support.live import signed_in
from tests.support.people import Person, visible_text
from tests.support.training import ENGINEER, SUITES, make_run, metric

pytestmark = pytest.mark.usefixtures("silent_bell")


@pytest.fixture
def two_runs(app: FastAPI, storage: Storage) -> None:
    """The second on the same check, with another learning rate and recipe; the first has curves."""
    with transaction(app.state.engine) as session:
        first, job = make_run(session, storage, name="First")
        claim = jobs.claim(session, job.id or 0, owner="w", lease_seconds=300)
        assert claim is not None
        evals = [
            ("eval", {"step": step, "eval_loss": loss}) for step, loss in [(0, 4.0), (2, 2.5), (3, 2.75)]
        ]
        events = [evals[0], metric(1, 3.0), metric(2, 2.0), evals[1], metric(3, 1.5), evals[2]]
        jobs.heartbeat(session, claim, lease_seconds=300, events=events)
        changes = {"learning_rate": "0.001"}
        request = RunRequest(
            first.mask_check_id,
            "quick",
            changes,
            "Second",
            confirmed=True,
            accepted_warnings=("learning_rate",),
        )
        start_run(session, ENGINEER, request, suites=SUITES)


@pytest.mark.usefixtures("two_runs")
def test_two_runs_are_compared_by_what_differs_and_by_how_far_they_came(engineer: Person) -> None:
    told = engineer.browser.get("/api/v1/runs/compare", params={"run": [2, 1]}).json()
    rows = {row["name"] or row["label"]: row["values"] for row in told["differences"]}
    assert rows == {
        "Accepted warnings": ["learning_rate", ""],
        "Recipe": ["quick", "standard"],
        "learning_rate": ["0.001", "5e-5"],
        "lora_r": ["16", "64"],
        "lora_alpha": ["32", "128"],
        "lora_target_modules": ["q_proj,v_proj", "all-linear"],
    }
    no_gap = {"train_loss_gap": None, "best_eval_loss_gap": None, "data": None}
    nothing = {
        "train_loss": None,
        "eval_loss_before": None,
        "best_eval_loss": None,
        "best_step": None,
        **no_gap,
    }
    assert told["runs"] == [
        {"run_id": 2, "steps": 0, **nothing},
        {
            "run_id": 1,
            "steps": 3,
            "train_loss": 1.5,
            "eval_loss_before": 4.0,
            "best_eval_loss": 2.5,
            "best_step": 2,
            **no_gap,
        },
    ]
    page = engineer.browser.get("/runs/compare?run=2&run=1").text
    assert "Learning rate learning_rate 0.001 5e-5" in visible_text(page)
    assert re.findall(r'"curves": "([^"]*)"', page) == ["/api/v1/runs/2/curves", "/api/v1/runs/1/curves"]
    # what the list offers leads there
    assert re.findall(r'form="compare-runs" name="run" value="(\d)"', engineer.browser.get("/runs").text) == [
        "2",
        "1",
    ]


@pytest.mark.browser
@pytest.mark.usefixtures("two_runs")
def test_on_a_phone_values_are_not_pushed_out_by_long_names_of_runs(
    app: FastAPI, browser: Browser, url: str, engineer: Person
) -> None:
    name = "Conversations of the whole spring · SmolLM2-135M-Instruct · the second try of Mei Lin"
    with transaction(app.state.engine) as session:
        for run_id in (1, 2):
            run = require_run(session, run_id)
            run.name = name
            session.add(run)
    with signed_in(browser, url, engineer) as context:
        page = context.new_page()
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{url}/runs/compare?run=1&run=2")
        cells = page.locator(".table--stack td[data-label]")
        expect(cells.first).to_be_visible()
        squeezed = cells.evaluate_all(
            "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.outerHTML)"
        )
        assert squeezed == []


@pytest.mark.usefixtures("two_runs")
@pytest.mark.parametrize("asked", ["", "run=1", "run=1&run=1", "run=1&run=2&run=3&run=4&run=5"])
def test_one_run_or_five_are_refused_in_words(engineer: Person, asked: str) -> None:
    page = engineer.browser.get(f"/runs/compare?{asked}")
    assert page.status_code == 422
    assert "Choose 2 to 4 runs to compare." in visible_text(page.text)


@pytest.mark.usefixtures("two_runs")
def test_a_run_that_is_not_there_is_not_compared(engineer: Person) -> None:
    assert engineer.browser.get("/runs/compare?run=1&run=9").status_code == 404
    assert engineer.browser.get("/api/v1/runs/compare?run=1&run=9").status_code == 404
