"""What a device cannot do is refused before the queue, by its field, at every door: where the run asks for that device, and where
workers have told that they have no other.
"""

import html
from typing import Any

import pytest
from fastapi import FastAPI

from app.base_models.service import require_base_model
from app.core.database import transaction
from app.core.storage import Storage
from app.jobs.devices import Devices, Gpu, WorkerDevice, these_devices
from app.jobs.workers import Presence, tell_presence
from app.runs.device import Machine, machine_of
from app.runs.placing import Place, place_for
from tests.cli.conftest import LiveServer, live
from tests.support.people import Person, problem_of, visible_text
from tests.support.training import make_check, model_facts

__all__ = ["live"]
pytestmark = pytest.mark.usefixtures("silent_bell")
HTMX = {"HX-Request": "true"}
CARD = Gpu(0, "GPU-a", "NVIDIA H200", 140 * 2**30, 139 * 2**30, (9, 0))
PROCESSOR = WorkerDevice(name="cpu", title="CPU", memory=2**33, cores=4, key="host/cpu")


@pytest.fixture
def check_id(app: FastAPI, storage: Storage) -> int:
    with transaction(app.state.engine) as session:
        check = make_check(session, storage)
        model = require_base_model(session, check.base_model_id)
        model.info = model_facts(vocabulary=49_152)
        session.add(model)
        return check.id or 0


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


def described(number: int, gigabytes: int, free: int | None = None, title: str = "") -> Gpu:
    memory = gigabytes * 2**30
    left = memory if free is None else free * 2**30
    return Gpu(number, f"GPU-{number}", title or f"Card {gigabytes}", memory, left, (9, 0))


OLD = Gpu(2, "GPU-2", "Old", 16 * 2**30, 15 * 2**30, (7, 5))
THREE = [described(0, 80, 70), described(1, 24, 20), OLD]


def told_by(
    machine: list[Gpu], monkeypatch: pytest.MonkeyPatch, gpus_each: int = 1
) -> tuple[WorkerDevice, ...]:
    """What a worker of a machine with these GPUs tells."""
    with monkeypatch.context() as there:
        there.setattr("app.jobs.devices.gpus", lambda: machine)
        return tuple(these_devices(1, gpus_each).devices)


def on(app: FastAPI, machine: Machine, wish: str) -> Place | None:
    with transaction(app.state.engine) as session:
        return place_for(session, machine, wish)


def named(place: Place | None) -> str | None:
    return place.device.name if place else None


def test_each_device_of_this_machine_is_known_by_its_name(app: FastAPI) -> None:
    machine = machine_of(THREE, 1)
    assert [one.name for one in machine.devices] == ["cuda:0", "cuda:1", "cuda:2", "cpu"]
    second, third, cpu = (on(app, machine, wish) for wish in ("cuda:1", "cuda:2", "cpu"))
    assert second is not None
    assert third is not None
    assert cpu is not None
    assert (second.device.title, second.device.memory, second.device.free) == (
        "Card 24",
        24 * 2**30,
        20 * 2**30,
    )
    assert (third.device.has_bf16, cpu.device.cores > 0) == (False, True)
    assert on(app, machine, "cuda:3") is None
    # Anywhere, it may get the one with the least.
    for wish in ("any", "cuda"):
        place = on(app, machine, wish)
        assert place is not None
        assert (place.device.name, place.are_alike) == ("cuda:2", False)
    alone = machine_of([], 1)
    assert [named(on(app, alone, wish)) for wish in ("any", "cpu", "cuda")] == ["cpu", "cpu", None]


def test_gpus_that_a_run_has_together_are_held_against_the_smallest(app: FastAPI) -> None:
    machine = machine_of([described(0, 80), described(1, 24), described(2, 40), described(3, 48)], 2)
    found = [on(app, machine, wish) for wish in ("cuda:0", "cuda:1", "cuda:2")]
    assert [one and one.device.memory for one in found] == [24 * 2**30, 40 * 2**30, None]


def test_what_workers_have_goes_before_what_is_here(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    has(app, *told_by([described(7, 80), described(8, 24)], monkeypatch))
    here = machine_of([described(0, 12, title="Of the desk")], 1)
    place = on(app, here, "cuda:1")
    assert place is not None
    assert (place.device.title, place.device.knows_free, place.is_told) == ("Card 24", False, True)
    assert (place.device.free, place.device.has_bf16) == (24 * 2**30, True)
    assert on(app, here, "cuda:2") is None
    has(app, *told_by([described(9, 80), described(10, 24)], monkeypatch, gpus_each=2))
    pair = on(app, here, "cuda:0")
    assert pair is not None
    assert (pair.device.memory, pair.are_alike) == (24 * 2**30, False), (
        "80 on one machine, 24 of each pair on the other"
    )


def test_of_a_workers_device_that_is_here_what_is_free_is_known(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The worker was given the second card alone, which it calls its first.
    has(app, *told_by(THREE[1:2], monkeypatch))
    place = on(app, machine_of(THREE, 1), "cuda:0")
    assert place is not None
    assert (place.device.title, place.device.free, place.device.knows_free) == ("Card 24", 20 * 2**30, True)


def test_plan_and_preflight_are_of_the_device_that_is_named(
    app: FastAPI, engineer: Person, check_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    roomy, tiny = described(0, 80), Gpu(1, "GPU-1", "Tiny", 2**26, 2**26, (7, 5))
    monkeypatch.setattr("app.runs.device.gpus", lambda: [roomy, tiny])
    has(app, *told_by([roomy, tiny], monkeypatch))
    body = {"dataset_version_id": 1, "base_model_id": 1, "changes": {"bf16": True}}
    told = {}
    for device in ("cuda:0", "cuda:1", "any"):
        plan = engineer.api.post("/api/v1/runs/plan", json={**body, "device": device}).json()
        items = {one["name"]: one for one in plan["preflight"]}
        told[device] = (plan["memory"]["device"], items["precision"]["level"], items["memory"]["level"])
    # It may get the small one where it may get any: that is said, and refuses nothing.
    assert told == {
        "cuda:0": ("Card 80", "ok", "ok"),
        "cuda:1": ("Tiny", "warning", "error"),
        "any": ("Tiny", "warning", "warning"),
    }
    refused = start(engineer, check_id, "cuda:1")
    assert (refused.status_code, "Tiny has 0.06 GB in all" in problem_of(refused)) == (409, True), (
        refused.text
    )
    started = start(engineer, check_id, "cuda:0")
    assert started.status_code == 201, started.text
    axes = [{"fields": ["seed"], "values": [1, 2]}]
    sweep = engineer.api.post(
        "/api/v1/sweeps/plan", json={"mask_check_id": check_id, "device": "cuda:0", "axes": axes}
    ).json()
    assert sweep["memory"]["device"] == "Card 80"
    form = {"version": "1", "model": "1", "recipe": "standard", "device": "cuda:1", "mask_check_id": check_id}
    page = visible_text(engineer.browser.post("/runs/new/plan", data=form, headers=HTMX).text)
    assert "Free on Tiny" in page
    assert engineer.browser.get(f"/runs/{started.json()['id']}").status_code == 200


def test_a_device_that_nobody_has_told_of_is_said_and_not_taken_for_another(
    engineer: Person, check_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.runs.device.gpus", lambda: [described(0, 80)])
    body = {"dataset_version_id": 1, "base_model_id": 1, "device": "cuda:1"}
    plan = engineer.api.post("/api/v1/runs/plan", json=body).json()
    items = {one["name"]: one for one in plan["preflight"]}
    assert (plan["memory"], "precision" in items, items["memory"]["level"]) == (None, False, "warning")
    assert "No worker has told of cuda:1" in items["memory"]["message"]
    form = {"version": "1", "model": "1", "recipe": "standard", "device": "cuda:1"}
    assert engineer.browser.post("/runs/new/plan", data=form, headers=HTMX).status_code == 200
