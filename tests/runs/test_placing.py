"""What a device cannot do is refused before the queue, by its field, at every door: where the run asks for that device, and where
workers have told that they have no other.
"""

import html
from typing import Any

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.storage import Storage
from app.jobs.devices import Devices, Gpu, WorkerDevice
from app.jobs.workers import Presence, tell_presence
from app.runs.device import Device
from app.runs.placing import device_for
from tests.cli.conftest import LiveServer, live
from tests.support.people import Person, problem_of, visible_text
from tests.support.training import make_check

__all__ = ["live"]
pytestmark = pytest.mark.usefixtures("silent_bell")
HTMX = {"HX-Request": "true"}
CARD = Gpu(0, "GPU-a", "NVIDIA H200", 140 * 2**30, 139 * 2**30, (9, 0))
PROCESSOR = WorkerDevice(name="cpu", title="CPU", memory=2**33, cores=4, key="host/cpu")


@pytest.fixture
def check_id(app: FastAPI, storage: Storage) -> int:
    with transaction(app.state.engine) as session:
        return make_check(session, storage).id or 0


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's machine has a GPU."""
    monkeypatch.setattr("app.runs.device.gpus", lambda: [CARD])


def has(app: FastAPI, *devices: WorkerDevice) -> None:
    """A worker with these lives."""
    with transaction(app.state.engine) as session:
        tell_presence(session, Presence("w", "training,default", 1, Devices(devices=list(devices))), None)


def of_gpus(number: int) -> WorkerDevice:
    together = [f"GPU-{one}" for one in range(number)] if number > 1 else []
    return WorkerDevice(name="cuda:0", title="H200", memory=2**37, key="GPU-0", gpus=together)


def start(engineer: Person, check_id: int, device: str = "any", **changes: Any) -> Any:
    body = {"mask_check_id": check_id, "confirmed": True, "changes": changes, "device": device}
    return engineer.api.post("/api/v1/runs", json=body)


@pytest.mark.usefixtures("card")
def test_kernels_for_a_gpu_are_refused_at_every_door_where_the_run_asks_for_the_processor(
    engineer: Person, check_id: int, live: LiveServer
) -> None:
    asked = {"use_liger_kernel": True}
    refused = start(engineer, check_id, "cpu", **asked)
    assert (refused.status_code, refused.json()["field"]) == (422, "use_liger_kernel"), refused.text
    assert "trained on a processor" in problem_of(refused)
    plan = {"dataset_version_id": 1, "base_model_id": 1, "changes": asked, "device": "cpu"}
    assert engineer.api.post("/api/v1/runs/plan", json=plan).json()["field"] == "use_liger_kernel"
    axes = [{"fields": ["seed"], "values": [1, 2]}]
    sweep = {"mask_check_id": check_id, "changes": asked, "device": "cpu", "axes": axes}
    for path, body in (("/plan", sweep), ("", {**sweep, "confirmed": True})):
        told = engineer.api.post(f"/api/v1/sweeps{path}", json=body)
        assert (told.status_code, told.json().get("field")) == (422, "use_liger_kernel"), told.text
    form = {"version": "1", "model": "1", "recipe": "standard", "use_liger_kernel": "true", "device": "cpu"}
    page = engineer.browser.post("/runs/new/plan", data=form, headers=HTMX)
    assert "this run is trained on a processor" in visible_text(html.unescape(page.text))
    command = ["--dataset", "Calls", "--model", "small", "--device", "cpu", "--set", "use_liger_kernel=true"]
    advised = live.run("advise", *command)
    assert (advised.code, "use_liger_kernel" in advised.error) == (1, True), advised


@pytest.mark.usefixtures("card")
def test_a_plan_is_for_the_device_that_is_asked_for(engineer: Person, check_id: int) -> None:
    plan = {"dataset_version_id": 1, "base_model_id": 1, "changes": {"optim": "paged_adamw_8bit"}}
    anywhere = engineer.api.post("/api/v1/runs/plan", json=plan).json()
    on_cpu = engineer.api.post("/api/v1/runs/plan", json={**plan, "device": "cpu"}).json()
    notes = [
        any("paged_adamw_8bit needs a GPU" in note for note in one["notes"]) for one in (anywhere, on_cpu)
    ]
    assert notes == [False, True]
    precision = [
        next(item["message"] for item in one["preflight"] if item["name"] == "precision")
        for one in (anywhere, on_cpu)
    ]
    assert ["NVIDIA H200" in said for said in precision] == [True, False]
    assert engineer.api.post("/api/v1/runs/plan", json={**plan, "device": "tpu"}).json()["field"] == "device"


def test_workers_tell_what_a_run_may_get_wherever_they_are(
    app: FastAPI, engineer: Person, check_id: int
) -> None:
    has(app, PROCESSOR)
    refused = start(engineer, check_id, num_processes=5)
    assert (refused.status_code, refused.json()["field"]) == (422, "num_processes"), refused.text
    assert "4 processor cores" in problem_of(refused)
    assert start(engineer, check_id, num_processes=4).status_code == 201
    # Where there is a GPU, runs go there; each has one, unless workers were started otherwise.
    has(app, of_gpus(1), PROCESSOR)
    refused = start(engineer, check_id, num_processes=2)
    assert (refused.status_code, refused.json()["field"]) == (422, "num_processes"), refused.text
    assert "SFT_STUDIO_GPUS_PER_RUN" in problem_of(refused)
    assert start(engineer, check_id, "cpu", num_processes=2).status_code == 201
    has(app, of_gpus(2), PROCESSOR)
    assert start(engineer, check_id, num_processes=2).status_code == 201


def test_the_processor_beside_a_gpu_is_known() -> None:
    processor = Device("CPU", 8, 4, 2, False)
    gpu = Device("H200", 80, 79, 0, True, processor)
    assert [device_for(gpu, wish) for wish in ("any", "cpu", "cuda")] == [gpu, processor, gpu]
    assert device_for(processor, "cpu") == processor
