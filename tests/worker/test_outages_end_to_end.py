"""A run while the database is busy or away: it goes on, or is rescued once, and tells everything once."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.core.database import transaction
from app.core.settings import Settings
from tests.support.installation import InThisProcess, Ready, Studio, installed, prepare
from tests.support.servers import stoppable_postgres
from tests.support.small_runs import base_folder
from tests.support.workers import running_worker, wait_until

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]
# A step takes some hundredths of a second: there are enough for what happens meanwhile to happen meanwhile.
STEPS = 200
OFTEN = {
    "max_steps": STEPS,
    "per_device_train_batch_size": 2,
    "logging_steps": 1,
    "save_steps": 20,
    "save_total_limit": 2,
}


def see_through(studio: Studio, run: dict[str, Any], meanwhile: Callable[[], None]) -> dict[str, Any]:
    """What happens `meanwhile`, after the first step of a run that a worker does; its job once it succeeded."""
    job_id = run["job"]["id"]
    wait_until(
        lambda: bool(steps_told(studio, job_id)), timeout_seconds=240, what="the first step of the run"
    )
    meanwhile()
    job = studio.wait_for(run["job"], "succeeded", 240)
    events = studio.events(job_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["state"] for event in events if event["kind"] == "state"].count("succeeded") == 1
    return job


def steps_told(studio: Studio, job_id: int) -> list[int]:
    """The steps whose loss was told, in order."""
    return [event["step"] for event in studio.events(job_id) if event["kind"] == "metric"]


def keep_busy(studio: InThisProcess, seconds: float) -> Callable[[], None]:
    """Somebody who holds SQLite's one place for a writer."""

    def hold() -> None:
        with transaction(studio.app.state.engine) as session:
            session.execute(text("SELECT 1"))
            time.sleep(seconds)

    return hold


def test_a_run_goes_on_when_others_write_for_longer_than_the_worker_waits(ready: Ready) -> None:
    file = ready.studio.settings.data_dir / "test-worker.log"
    before = file.stat().st_size
    with running_worker(ready.worker_settings(lease_seconds=30, worker_wait_seconds=0.5)):
        job = see_through(ready.studio, ready.start_run(**OFTEN), keep_busy(ready.studio, 2.5))
    assert job["attempt"] == 1
    assert steps_told(ready.studio, job["id"]) == list(range(1, STEPS + 1))
    log = file.read_bytes()[before:].decode()
    assert "the database is out of reach" in log
    assert "SELECT" not in log
    assert "sqlalche.me" not in log


def test_a_run_whose_lease_ran_out_meanwhile_is_rescued_once(ready: Ready) -> None:
    with running_worker(ready.worker_settings(lease_seconds=3, worker_wait_seconds=0.5)):
        job = see_through(ready.studio, ready.start_run(**OFTEN), keep_busy(ready.studio, 5))
    assert job["attempt"] == 2
    assert steps_told(ready.studio, job["id"])[-1] == STEPS
    rescues = [event for event in ready.studio.events(job["id"]) if event.get("rescued")]
    assert [event["state"] for event in rescues] == ["queued"]


@pytest.mark.servers
def test_a_run_from_import_to_adapter_goes_on_when_postgresql_is_stopped_and_comes_back(
    tmp_path: Path, redis_url: str
) -> None:
    model = base_folder()
    with stoppable_postgres(tmp_path / "postgres") as postgres:
        settings = Settings(
            data_dir=tmp_path / "data",
            database_url=postgres.url,
            redis_url=redis_url,
            model_roots=(model,),
        )

        def away() -> None:
            postgres.stop()
            time.sleep(2)
            postgres.start()

        with installed(settings) as studio, running_worker(settings):
            run = studio.start_run(studio.check(studio.version(12), prepare(studio, model)), **OFTEN)
            job = see_through(studio, run, away)
            assert job["attempt"] == 1
            assert steps_told(studio, job["id"]) == list(range(1, STEPS + 1))
            losses = [event["loss"] for event in studio.events(job["id"]) if event["kind"] == "metric"]
            # A guess among all tokens costs log(800) = 6.7.
            assert all(0 < loss < 8 for loss in losses)
            finished = studio.ok(studio.api.get(f"/api/v1/runs/{run['id']}"))
            assert finished["result"]["steps"] == STEPS
            kept = studio.ok(studio.api.get(f"/api/v1/runs/{run['id']}/artifacts"))
            assert {"adapter_config.json", "adapter_model.safetensors"} <= {item["name"] for item in kept}
