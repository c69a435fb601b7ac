"""Another program as a run's trainer: offered where it is found, refused elsewhere, at every door before the queue."""

import html
import sys
from pathlib import Path
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
    for name, value in {"max_train_minutes": 5, "sample_count": 3}.items():
        refused = start(engineer, check_id, backend="trl", **{name: value})
        assert (refused.status_code, refused.json()["field"]) == (422, name), refused.text
    body = {"dataset_version_id": 1, "base_model_id": 1, "changes": {"backend": "trl"}}
    plan = engineer.api.post("/api/v1/runs/plan", json=body).json()
    assert any("no sample answers" in note for note in plan["notes"])
    assert plan["memory"] is None
    whole = start(engineer, check_id, backend="trl", use_peft=False, num_processes=2)
    assert whole.status_code == 201, whole.text
    run = start(engineer, check_id, backend="trl")
    assert run.status_code == 201, run.text
    config = run.json()["config"]
    assert (config["backend"], config["sample_count"]) == ("trl", 0)
    assert "backend" in visible_text(engineer.browser.get(f"/runs/{run.json()['id']}").text)


def test_one_that_cannot_be_started_is_not_offered_and_refused_with_what_to_do(
    app: FastAPI, engineer: Person, check_id: int, tmp_path: Path
) -> None:
    described = (
        tmp_path / "lib" / "python3.12" / "site-packages" / "llamafactory-0.9.5.dist-info" / "METADATA"
    )
    described.parent.mkdir(parents=True)
    described.write_text("Metadata-Version: 2.1\nName: llamafactory\nVersion: 0.9.5\n")
    (programs := tmp_path / "bin").mkdir()
    (programs / "python").symlink_to(sys.executable)
    app.state.settings = app.state.settings.model_copy(update={"llamafactory_env": tmp_path})
    (found,) = [
        one for one in engineer.api.get("/api/v1/backends").json() if one["backend"] == "llamafactory"
    ]
    assert (found["version"], found["can_start"]) == ("0.9.5", False)
    assert '<option value="llamafactory"' not in engineer.browser.get("/runs/new").text
    refused = start(engineer, check_id, backend="llamafactory")
    assert (refused.status_code, refused.json()["field"]) == (422, "backend")
    assert f"LLaMA-Factory cannot be started: {programs / 'llamafactory-cli'} is missing" in problem_of(
        refused
    )
    (programs / "llamafactory-cli").write_text(f"#!{programs / 'python'}\n")
    assert '<option value="llamafactory">LLaMA-Factory 0.9.5' in engineer.browser.get("/runs/new").text
    assert start(engineer, check_id, backend="llamafactory").status_code == 201


def test_kernels_for_a_gpu_are_refused_where_there_is_none_at_every_door(
    engineer: Person, check_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.runs.device.gpus", list)
    for backend in ("studio", "trl"):
        refused = start(engineer, check_id, backend=backend, use_liger_kernel=True)
        assert (refused.status_code, refused.json()["field"]) == (422, "use_liger_kernel"), refused.text
        assert "use_liger_kernel to false" in problem_of(refused)
    form = {"version": "1", "model": "1", "recipe": "standard", "use_liger_kernel": "true"}
    plan = engineer.browser.post("/runs/new/plan", data=form, headers=HTMX)
    assert "Liger's kernels are written for GPUs" in visible_text(html.unescape(plan.text))


FILE = "distributed_type: MULTI_CPU\nnum_processes: 2\nmixed_precision: 'no'\nuse_cpu: true\n"


@pytest.fixture
def files(app: FastAPI, tmp_path: Path) -> Path:
    """The folder of accelerate's files that the server was told of."""
    (folder := tmp_path / "accelerate").mkdir()
    (folder / "cpus.yaml").write_text(FILE)
    (folder / "gpus.yaml").write_text("distributed_type: FSDP\nnum_processes: 2\n")
    (folder / "zero.yaml").write_text("distributed_type: DEEPSPEED\nnum_processes: 1\n")
    app.state.settings = app.state.settings.model_copy(update={"accelerate_configs": folder})
    return folder


def test_a_run_keeps_the_file_of_accelerate_that_it_is_started_with(
    engineer: Person, check_id: int, files: Path
) -> None:
    told = {one["backend"]: one["accelerate_configs"] for one in engineer.api.get("/api/v1/backends").json()}
    assert told["trl"] == ["cpus.yaml", "gpus.yaml", "zero.yaml"]
    assert told["axolotl"] == []
    asked = {"backend": "trl", "accelerate_config": "cpus.yaml"}
    body = {"dataset_version_id": 1, "base_model_id": 1, "changes": asked}
    plan = engineer.api.post("/api/v1/runs/plan", json=body).json()
    assert any("starts 2 processes" in note for note in plan["notes"])
    run = start(engineer, check_id, **asked).json()
    assert run["config"]["num_processes"] == 2
    form = {"version": "1", "model": "1", "recipe": "standard", **asked}
    page = engineer.browser.post("/runs/new/plan", data=form, headers=HTMX)
    assert "starts 2 processes" in visible_text(page.text)

    # It is changed, then gone: the run has it as it was, and so has the same run again.
    (files / "cpus.yaml").write_text(FILE.replace("2", "1"))
    other = start(engineer, check_id, **asked).json()
    (files / "cpus.yaml").unlink()
    again = engineer.api.post(f"/api/v1/runs/{run['id']}/again")
    assert again.status_code == 201, again.text
    launches = [
        engineer.api.get(f"/api/v1/runs/{one}/manifest").json()["launch"]
        for one in (run["id"], again.json()["id"])
    ]
    assert [one["text"] for one in launches] == [FILE, FILE]
    compared = engineer.api.get("/api/v1/runs/compare", params={"run": [run["id"], other["id"]]}).json()
    row = next(row for row in compared["differences"] if row["label"] == "Config of accelerate")
    assert row["values"][0] != row["values"][1]


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({"accelerate_config": "cpus.yaml"}, "accelerate_config", "set backend to trl"),
        ({"backend": "trl", "accelerate_config": "none.yaml"}, "accelerate_config", "no none.yaml"),
        ({"backend": "trl", "accelerate_config": "gpus.yaml"}, "accelerate_config", "there are none here"),
        (
            {"backend": "trl", "accelerate_config": "cpus.yaml", "num_processes": 3},
            "num_processes",
            "starts 2",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_field(
    engineer: Person, check_id: int, files: Path, asked: dict[str, Any], field: str, words: str
) -> None:
    refused = start(engineer, check_id, **asked)
    assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text
    assert words in problem_of(refused)
