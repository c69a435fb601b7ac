"""The plan of a run before it starts: what it would be and take, with advice, on the form, by REST and in a terminal."""

import html
from dataclasses import replace

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.mask_checks.report import Distribution
from app.mask_checks.service import require_mask_check
from app.recipes.memory import Fits, fits
from app.runs.device import Device, machine_of
from app.runs.planning import Choice, largest_batch, make_plan
from app.versions.service import require_version
from tests.support.people import Person, problem_of
from tests.support.training import make_check, make_version, model_facts, report

pytestmark = pytest.mark.usefixtures("silent_bell")
HTMX = {"HX-Request": "true"}
FACTS = model_facts(vocabulary=49_152)
MACHINE = Device("CPU", 8 * 10**9, 4 * 10**9, 2, has_bf16=False)


@pytest.fixture
def check_id(app: FastAPI) -> int:
    with transaction(app.state.engine) as session:
        check = make_check(session, app.state.storage)
        from app.base_models.service import require_base_model

        model = require_base_model(session, check.base_model_id)
        model.info = FACTS
        session.add(model)
        return check.id or 0


def test_a_plan_tells_steps_tokens_disk_memory_and_advice_and_starts_nothing(
    engineer: Person, check_id: int
) -> None:
    body = {"dataset_version_id": 1, "base_model_id": 1, "changes": {"learning_rate": 1e-3}, "task": "format"}
    told = engineer.api.post("/api/v1/runs/plan", json=body).json()
    # Of 12 conversations one is held out; 1,000 tokens are the whole version's.
    assert (told["mask_check_id"], told["samples"], told["steps"], told["epochs"]) == (check_id, 11, 3, 3.0)
    assert told["tokens"] == pytest.approx(1000 * 11 / 12 * 3, abs=1)
    assert told["trained_tokens"] == pytest.approx(400 * 11 / 12 * 3, abs=1)
    assert told["disk_bytes"] > 0
    assert told["memory"]["needed_bytes"] > 4 * 135_000_000
    assert told["memory"]["fits"] in [one.value for one in Fits]
    advice = {one["field"]: one for one in told["advice"]}
    assert (advice["learning_rate"]["value"], advice["lora_r"]["value"]) == ("5e-5", "16")
    assert advice["lora_r"]["rule"].startswith("Rule: ")
    assert engineer.api.get("/api/v1/runs").json() == []

    for wrong, field in (({"changes": {"lora_r": 0}}, "lora_r"), ({"recipe": "fast"}, "recipe")):
        refused = engineer.api.post("/api/v1/runs/plan", json={**body, **wrong})
        assert (refused.status_code, refused.json()["field"]) == (422, field)
        assert problem_of(refused)
    chinese = engineer.api.post("/api/v1/runs/plan", json=body, headers={"Accept-Language": "zh-CN"}).json()
    assert all(one["rule"].startswith("规则：") for one in chinese["advice"])


def test_a_plan_is_refused_with_a_mask_check_of_something_else(
    app: FastAPI, engineer: Person, check_id: int
) -> None:
    with transaction(app.state.engine) as session:
        other = make_version(session, app.state.storage, conversations=2, name="Other").id
    body = {"dataset_version_id": other, "base_model_id": 1}
    assert engineer.api.post("/api/v1/runs/plan", json=body).json()["mask_check_id"] is None
    refused = engineer.api.post("/api/v1/runs/plan", json={**body, "mask_check_id": check_id})
    assert (refused.status_code, refused.json()["field"]) == (422, "mask_check_id")


def test_the_form_shows_the_plan_with_a_button_for_each_piece_of_advice_and_for_all(
    engineer: Person, check_id: int
) -> None:
    form = {
        "version": "1",
        "model": "1",
        "recipe": "standard",
        "method": "full",
        "mask_check_id": str(check_id),
    }
    page = html.unescape(engineer.browser.post("/runs/new/plan", data=form, headers=HTMX).text)
    for words in (
        "Trained tokens",
        "Memory at the peak",
        "Free on",
        "Disk while it runs",
        "Advice",
        "Rule: by size",
    ):
        assert words in page
    assert 'data-set-field="num_train_epochs" data-set-value="5"' in page
    assert "data-take-all" in page


def test_memory_grows_with_what_is_trained_and_what_passes_at_once(app: FastAPI, check_id: int) -> None:
    def needed(**changes: object) -> int:
        with transaction(app.state.engine) as session:
            check = require_mask_check(session, check_id)
            version = require_version(session, check.dataset_version_id)
            plan = make_plan(Choice("standard", changes), version, check, FACTS, MACHINE)
        assert plan.memory is not None
        return plan.memory.needed

    assert needed(use_peft=False) > needed() > needed(lora_r=8)
    # Unpacked for each pass, weights in 4 bits save nothing on a CPU.
    assert needed(load_in_4bit=True) > needed()
    assert needed(per_device_train_batch_size=8) > needed()
    assert needed(per_device_train_batch_size=8, gradient_checkpointing=True) < needed(
        per_device_train_batch_size=8
    )
    assert needed(bf16=True) < needed(bf16=False)


def test_a_sample_for_each_core_is_advised_where_memory_surely_holds_them(
    app: FastAPI, check_id: int
) -> None:
    def advised(device: Device, **changes: object) -> set[str]:
        with transaction(app.state.engine) as session:
            check = require_mask_check(session, check_id)
            version = require_version(session, check.dataset_version_id)
            plan = make_plan(Choice("standard", changes), version, check, FACTS, device)
        return {one.field for one in plan.advice if one.value == "2"}

    one_by_one = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4}
    both = {"per_device_train_batch_size", "gradient_accumulation_steps"}
    assert both <= advised(MACHINE, **one_by_one)
    assert not both & advised(MACHINE, gradient_accumulation_steps=1)
    assert not both & advised(replace(MACHINE, free=10**9), **one_by_one)
    assert not both & advised(replace(MACHINE, cores=0), **one_by_one)


def test_the_largest_batch_lies_between_the_longest_sample_and_as_many_of_it() -> None:
    even = report().model_copy(
        update={"lengths": Distribution(edges=[80, 90], counts=[12]), "longest": 90, "tokens": 12 * 85}
    )
    assert largest_batch(even, 1) == 90
    assert largest_batch(even, 4) == 4 * 85
    skewed = report().model_copy(
        update={"lengths": Distribution(edges=[0, 64, 1024, 2048], counts=[11, 0, 1]), "longest": 2000}
    )
    assert 2000 <= largest_batch(skewed, 4) < 4 * 2000


def test_what_fits_is_said_with_the_margin_of_the_estimate() -> None:
    assert [fits(needed, 1000) for needed in (800, 860, 1140, 1160)] == [
        Fits.YES,
        Fits.TIGHT,
        Fits.TIGHT,
        Fits.NO,
    ]
    device = machine_of([], 1).first
    assert 0 < device.free <= device.memory
    assert device.cores >= 0
