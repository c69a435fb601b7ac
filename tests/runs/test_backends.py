"""Another program as a run's trainer: offered where it is found, refused elsewhere, at every door before the queue."""

import html
from typing import Any

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.storage import Storage
from tests.support.people import Person, problem_of, visible_text
from tests.support.training import make_check

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.usefixtures("silent_bell")


@pytest.fixture
def check_id(app: FastAPI, storage: Storage) -> int:
    with transaction(app.state.engine) as session:
        return make_check(session, storage).id or 0


def start(engineer: Person, check_id: int, **changes: Any) -> Any:
    body = {"mask_check_id": check_id, "confirmed": True, "changes": changes}
    return engineer.api.post("/api/v1/runs", json=body)


def test_the_form_offers_what_is_found_and_a_link_to_another_is_refused_in_words(
    engineer: Person, check_id: int
) -> None:
    page = html.unescape(engineer.browser.get("/runs/new").text)
    # Of this program's own environment; the others have to be named.
    assert '<option value="trl">TRL ' in page
    assert '<option value="axolotl"' not in page
    linked = html.unescape(engineer.browser.get("/runs/new?backend=axolotl").text)
    assert '<option value="axolotl" selected>Axolotl</option>' in linked
    form = {"version": "1", "model": "1", "recipe": "standard", "backend": "axolotl"}
    plan = engineer.browser.post("/runs/new/plan", data=form, headers=HTMX)
    assert "Axolotl is not found on this server: SFT_STUDIO_AXOLOTL_ENV names" in visible_text(plan.text)
    found = {one["backend"]: one for one in engineer.api.get("/api/v1/backends").json()}
    assert found["trl"]["version"]
    assert (found["axolotl"]["version"], found["axolotl"]["setting"]) == (None, "SFT_STUDIO_AXOLOTL_ENV")


def test_rest_starts_what_it_can_train_and_refuses_the_rest_by_field(engineer: Person, check_id: int) -> None:
    refused = start(engineer, check_id, backend="unsloth")
    assert (refused.status_code, refused.json()["field"]) == (422, "backend")
    assert "studio, trl" in problem_of(refused)
    for name, value in {"use_peft": False, "max_train_minutes": 5, "sample_count": 3}.items():
        refused = start(engineer, check_id, backend="trl", **{name: value})
        assert (refused.status_code, refused.json()["field"]) == (422, name), refused.text
    body = {"dataset_version_id": 1, "base_model_id": 1, "changes": {"backend": "trl"}}
    plan = engineer.api.post("/api/v1/runs/plan", json=body).json()
    assert any("no sample answers" in note for note in plan["notes"])
    assert plan["memory"] is None
    run = start(engineer, check_id, backend="trl")
    assert run.status_code == 201, run.text
    config = run.json()["config"]
    assert (config["backend"], config["sample_count"]) == ("trl", 0)
    assert "backend" in visible_text(engineer.browser.get(f"/runs/{run.json()['id']}").text)
