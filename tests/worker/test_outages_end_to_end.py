"""A run while the database is busy or away: it goes on, or is rescued once, and tells everything once."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.core.database import transaction
from app.core.settings import Settings
from tests.support.installation import (
    PATIENCE_SECONDS,
    UNTIL_STOPPED,
    InThisProcess,
    Ready,
    Studio,
    installed,
    prepare,
)
from tests.support.servers import stoppable_postgres
from tests.support.small_runs import base_folder
from tests.support.workers import running_worker, wait_until

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]
OFTEN = {
    **UNTIL_STOPPED,
    "per_device_train_batch_size": 2,
    "logging_steps": 1,
    "save_steps": 20,
    "save_total_limit": 2,
}


def see_through(studio: Studio, run: dict[str, Any], meanwhile: Callable[[], None]) -> dict[str, Any]:
    """What happens `meanwhile`, after the first step of a run that a worker does; its job once it went on and was kept."""
    job_id = run["job"]["id"]
    studio.wait_for_step(job_id)
    meanwhile()
    studio.wait_for_step(job_id, after=max(studio.steps_told(job_id)))
    job = studio.keep(run)
    events = studio.events(job_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["state"] for event in events if event["kind"] == "state"].count("succeeded") == 1
    assert set(range(1, studio.steps_of(run) + 1)) <= set(studio.steps_told(job_id))
    return job


def keep_busy(studio: InThisProcess, until: Callable[[], bool], what: str) -> Callable[[], None]:
    """Somebody who holds SQLite's one place for a writer until the worker has felt it."""

    def hold() -> None:
        with transaction(studio.app.state.engine) as session:
            session.execute(text("SELECT 1"))
            wait_until(until, timeout_seconds=PATIENCE_SECONDS, what=what)

    return hold


class Log:
    """What workers have said since."""

    def __init__(self, ready: Ready) -> None:
        self.file = ready.studio.settings.data_dir / "test-worker.log"
        self.before = self.file.stat().st_size

    @property
    def text(self) -> str:
        return self.file.read_bytes()[self.before :].decode()


def test_a_run_goes_on_when_others_write_for_longer_than_the_worker_waits(ready: Ready) -> None:
    log = Log(ready)
    with running_worker(ready.worker_settings(worker_wait_seconds=0.5)):
        busy = keep_busy(ready.studio, lambda: "the database is out of reach" in log.text, "a vain beat")
        job = see_through(ready.studio, ready.start_run(**OFTEN), busy)
    assert job["attempt"] == 1
    assert ready.studio.steps_told(job["id"]) == list(range(1, len(ready.studio.steps_told(job["id"])) + 1))
    assert "SELECT" not in log.text
    assert "sqlalche.me" not in log.text


def test_a_run_whose_lease_ran_out_meanwhile_is_rescued_once(ready: Ready) -> None:
    log = Log(ready)
    with running_worker(ready.worker_settings(lease_seconds=8, worker_wait_seconds=0.5)):
        busy = keep_busy(ready.studio, lambda: "until the lease was gone" in log.text, "the end of the lease")
        job = see_through(ready.studio, ready.start_run(**OFTEN), busy)
    rescues = [event for event in ready.studio.events(job["id"]) if event.get("rescued")]
    assert rescues
    # A slow machine may lose another lease: each of them is followed by one rescue.
    assert [event["state"] for event in rescues] == ["queued"] * (job["attempt"] - 1)


@pytest.mark.servers
def test_a_run_from_import_to_adapter_goes_on_when_postgresql_is_stopped_and_comes_back(
    tmp_path: Path, redis_url: str
) -> None:
    model = base_folder()
    with stoppable_postgres() as postgres:
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
            assert studio.steps_told(job["id"]) == list(range(1, studio.steps_of(run) + 1))
            losses = [event["loss"] for event in studio.events(job["id"]) if event["kind"] == "metric"]
            # A guess among all tokens costs log(800) = 6.7.
            assert all(0 < loss < 8 for loss in losses)
            kept = studio.ok(studio.api.get(f"/api/v1/runs/{run['id']}/artifacts"))
            assert {"adapter_config.json", "adapter_model.safetensors"} <= {item["name"] for item in kept}
